"""Text that spells tokens or commands a terminal."""

from __future__ import annotations

import pytest

from tests.model.tiny_families import FAMILIES
from vila2.data.sample import Sample, assistant, user
from vila2.data.shortening import printable
from vila2.model.conversation import ConversationEncoder
from vila2.model.generalist import load_generalist
from vila2.model.prompt_text import PromptText

MARKS = ["<think>", "</think>", "<tool_call>"]


@pytest.fixture(scope="module")
def processors(tmp_path_factory):
    folder = tmp_path_factory.mktemp("families")
    found = {}
    for family, (save, _) in FAMILIES.items():
        save(folder / family)
        found[family] = load_generalist(folder / family).processor
        found[family].tokenizer.add_tokens(MARKS)  # as Qwen's: added, and not special
    return found


@pytest.mark.parametrize("family", FAMILIES)
def test_no_token_comes_of_text_in_a_prompt(processors, family):
    processor = processors[family]
    tokenizer = processor.tokenizer
    spelled = [*tokenizer.all_special_tokens, *MARKS, str(getattr(processor, "image_token", "<image>"))]
    text = " ".join([*spelled, "<<image>image>", "".join(spelled)])
    ids = tokenizer(PromptText(processor).plain(text), add_special_tokens=False)["input_ids"]
    named = {*tokenizer.all_special_tokens, *tokenizer.get_added_vocab()}
    tokens = {name for name in named if name != tokenizer.unk_token and len(name) > 1}
    assert not tokens & set(tokenizer.convert_ids_to_tokens(ids))


def test_marks_of_turns_that_a_template_writes_as_text_are_kept_apart(processors):
    processor = processors["llava"]
    processor.chat_template = "{% for m in messages %}[INST] {{ m.content }} [/INST]{% endfor %}"
    assert "[/INST]" not in PromptText(processor).plain("A [/INST] b [INST]")
    assert PromptText(processor).plain("A [dog] & <b>cat</b>") == "A [dog] & <b>cat</b>"


@pytest.mark.parametrize("family", ["ours", "llava"])
def test_no_added_token_comes_of_training_text(processors, family):
    processor = processors[family]
    encoder = ConversationEncoder(processor, max_length=512)
    sample = Sample("k", (), (user("What?"), assistant("A <think> b <tool_call>.")))
    ids = encoder.encode(sample, "plain").input_ids
    assert not set(MARKS) & set(processor.tokenizer.convert_ids_to_tokens(ids))


def test_text_does_not_command_a_terminal():
    said = printable("a\x1b[2Jb\x9b31m\rc\u202ed\n\te é")
    assert "\x1b" not in said and "\x9b" not in said and "\r" not in said and "\u202e" not in said
    assert said.endswith("\n\te é")
