"""An answer that is told while its tokens come: the pieces are its text, at a cost that grows with it."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from vila2.engine.spoken_tokens import SpokenTokens


def of_bytes() -> Tokenizer:
    """A token is a byte, as the rare characters of most models are: an emoji takes four."""
    vocabulary = {letter: n for n, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    made = Tokenizer(models.BPE(vocabulary, []))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    return made


def of_words() -> Tokenizer:
    """As Llama's: a word holds the space before it, which the first one loses, and rare letters are bytes."""
    words = ["<unk>", *(f"<0x{byte:02X}>" for byte in range(256)), "\u2581", *"abc.\n", "\u2581a", "\u2581ab"]
    made = Tokenizer(
        models.BPE({w: n for n, w in enumerate(words)}, [], unk_token="<unk>", byte_fallback=True)
    )
    made.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    made.decoder = decoders.Sequence(
        [
            decoders.Replace("\u2581", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    return made


class Said:
    """What is heard of tokens that come one by one, and how many were decoded for it."""

    def __init__(self, tokenizer: Tokenizer, tokens: list[int]) -> None:
        self.tokenizer, self.decoded, self.pieces = tokenizer, 0, list[str]()
        spoken = SpokenTokens(self.decode, self.pieces.append)
        spoken.put(torch.tensor([[1, 2, 3]]))  # the prompt
        for token in tokens:
            spoken.put(torch.tensor([token]))
        spoken.end()
        self.whole = tokenizer.decode(tokens).strip()
        spoken.finish(self.whole)

    def decode(self, tokens: list[int]) -> str:
        self.decoded += len(tokens)
        return self.tokenizer.decode(tokens)


@pytest.mark.parametrize("make", [of_bytes, of_words])
@given(text=st.text(st.sampled_from("abc. \n\u00e9\u4e2d\U0001f415"), max_size=40))
def test_the_pieces_joined_are_the_text(make, text: str) -> None:
    said = Said(tokenizer := make(), tokenizer.encode(text).ids)
    assert "".join(said.pieces) == said.whole == text.strip()
    assert not any("\N{REPLACEMENT CHARACTER}" in piece for piece in said.pieces)


@pytest.mark.parametrize("make", [of_bytes, of_words])
def test_each_token_is_decoded_a_few_times_however_long_the_answer(make) -> None:
    tokens = (tokenizer := make()).encode("ab c\u4e2d. \n" * 300).ids
    assert Said(tokenizer, tokens).decoded < 12 * len(tokens)
