"""Conversations to pieces: template text, utterances, location tokens and images, in the order they are read in.

The chat template is rendered once per conversation *shape* with a sentinel in place of every utterance, so that each
piece is known to be template, utterance or image, and whose. Boxes and points are written in the model's own
coordinate scheme.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from vila2.data.coordinates import CoordinateScheme
from vila2.data.packed_sample import says_something
from vila2.data.sample import BoxPart, ImagePart, PointPart, Sample, TextPart, Turn
from vila2.errors import DataError, ModelError

Style = Literal["plain", "chat"]
_SENTINEL = re.compile("\ue000(\\d+)\ue001")


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of tokens of one kind: template text, an utterance's text or location tokens, or an image."""

    kind: Literal["template", "text", "tokens", "image"]
    text: str
    trained: bool = False
    branch: int = 0
    tokens: tuple[str, ...] = ()

    @property
    def said(self) -> bool:
        """Whether it is part of an utterance that is trained on."""
        return self.trained and self.kind in ("text", "tokens")


class PieceMaker:
    """Takes conversations apart for one processor.

    Args:
        processor: with a tokenizer and a chat template.
        image_token: that stands for an image in a rendered template.
        coordinates: how the model writes boxes and points.
    """

    def __init__(self, processor: Any, *, image_token: str, coordinates: CoordinateScheme) -> None:
        self.processor = processor
        self.tokenizer = processor.tokenizer
        self.image_token = image_token
        self.coordinates = coordinates
        self._templates: dict[tuple, list[str]] = {}

    def pieces(self, sample: Sample, style: Style, sizes: Sequence[tuple[int, int]]) -> Iterator[Piece]:
        """The conversation from its first token to its last, the trunk once and then its branches.

        Args:
            sample: the conversation.
            style: see :meth:`vila2.model.conversation.ConversationEncoder.encode`.
            sizes: width and height of each image; coordinates are written for a sample with one.

        Raises:
            DataError: coordinates that can not be written; it names the sample.
            ModelError: the chat template drops or reorders parts of a conversation.
        """
        size = sizes[0] if len(sizes) == 1 else None
        for number, turns in enumerate(_unfold(sample.turns)):
            try:
                pieces = (self._plain_pieces if style == "plain" else self._chat_pieces)(turns, size)
            except DataError as error:
                raise DataError(f"sample {sample.key!r}: {error.what}", mend=error.mend) from None
            yield from (piece for piece in pieces if piece.branch or number == 0)

    def _pieces_of(
        self, part: TextPart | BoxPart | PointPart, size: tuple[int, int] | None, before: str, **where: Any
    ) -> list[Piece]:
        """A part of an utterance, behind white space: text, or location tokens by themselves."""
        if isinstance(part, TextPart) or self.coordinates.kind == "text":
            return [Piece("text", before + self.coordinates.to_text([part], size), **where)]
        tokens = self.coordinates.tokens(part.box if isinstance(part, BoxPart) else part.point, size)
        space = [Piece("text", before, **where)] if before else []
        return [*space, Piece("tokens", "", **where, tokens=tokens)]

    def _plain_pieces(self, turns: Sequence[Turn], size: tuple[int, int] | None) -> list[Piece]:
        pieces = [Piece("template", self._opening)] if self._opening else []
        for turn, following in zip(turns, [*turns[1:], None], strict=True):
            for number, part in enumerate(turn.parts):
                if isinstance(part, ImagePart):
                    pieces.append(Piece("image", str(part.index), branch=turn.branch))
                    continue
                # A newline keeps the original caption and its recaption apart (template `concat`); an image
                # between two texts, as in interleaved documents, does so itself.
                apart = number == 0 and pieces and pieces[-1].kind in ("text", "tokens")
                pieces += self._pieces_of(
                    part, size, "\n" if apart else "", trained=turn.trained, branch=turn.branch
                )
            if following is not None and turn.trained and not following.trained and says_something(following):
                # A question follows: the model must learn that what it says ends here, not to ask it itself.
                pieces.append(Piece("template", self.tokenizer.eos_token, True, turn.branch))
        last = turns[-1]
        pieces.append(Piece("template", self.tokenizer.eos_token, last.trained, last.branch))
        return pieces

    @cached_property
    def _opening(self) -> str:
        """The beginning-of-sequence token, where this tokenizer adds one by itself."""
        bare = self.tokenizer("a", add_special_tokens=False)["input_ids"]
        full = self.tokenizer("a")["input_ids"]
        bos = self.tokenizer.bos_token
        return bos if bos and len(full) > len(bare) and full[0] == self.tokenizer.bos_token_id else ""

    def _chat_pieces(self, turns: Sequence[Turn], size: tuple[int, int] | None) -> list[Piece]:
        turns = _join_neighbours(turns)
        utterances = [(part, turn, branch) for turn, parts in turns for part, branch in parts]
        shape = tuple((turn.role, tuple(isinstance(p, ImagePart) for p, _ in parts)) for turn, parts in turns)
        if shape not in self._templates:
            self._templates[shape] = self._render(shape)
        pieces: list[Piece] = []
        branch = 0
        glue = self._templates[shape]
        for text, (part, turn, own_branch) in zip(glue, utterances, strict=False):
            branch = max(branch, own_branch)
            if text:
                pieces.append(Piece("template", text, branch=branch))
            if isinstance(part, ImagePart):
                pieces.append(Piece("image", str(part.index), branch=own_branch))
            else:
                space = (
                    " " if pieces and pieces[-1].kind == "template" and pieces[-1].text.endswith(" ") else ""
                )
                if space:  # tokenizers join a space to the word after it
                    pieces[-1] = Piece("template", pieces[-1].text[:-1], branch=pieces[-1].branch)
                pieces += self._pieces_of(part, size, space, trained=turn.trained, branch=own_branch)
        if glue[-1]:
            pieces.append(Piece("template", glue[-1], branch=branch))
        return self._with_ends(pieces)

    def _render(self, shape: tuple) -> list[str]:
        """The template text around the utterances of a conversation of this shape: n + 1 strings."""
        messages, count = [], 0
        for role, images in shape:
            content: list[dict[str, str]] = []
            for image in images:
                mark = f"\ue000{count}\ue001"
                count += 1
                if image:
                    content.append({"type": "image"})
                elif content and content[-1]["type"] == "text":
                    # One text: templates put a space or a line between several, or leave out all but the first.
                    content[-1]["text"] += mark
                else:
                    content.append({"type": "text", "text": mark})
            messages.append({"role": role, "content": content})
        rendered = self.processor.apply_chat_template(messages, tokenize=False)
        order = [image for _, images in shape for image in images]
        marks = {number: f"\ue000{number}\ue001" for number, image in enumerate(order) if not image}
        glue, rest = [], rendered
        for number, image in enumerate(order):
            before, mark, rest = rest.partition(self.image_token if image else marks[number])
            if not mark or _SENTINEL.search(before):
                raise ModelError(
                    "the chat template drops or reorders parts of a conversation",
                    mend="give the model a template that keeps every turn (model.chat_template)",
                )
            glue.append(before)
        return [*glue, rest]

    def _with_ends(self, pieces: list[Piece]) -> list[Piece]:
        """Gives each trained utterance its end-of-turn token, so that the model learns to stop."""
        result: list[Piece] = []
        for number, piece in enumerate(pieces):
            before = pieces[number - 1] if number else None
            if not (before and before.said) or piece.said:
                result.append(piece)
                continue
            end = self._special.match(piece.text) if piece.kind == "template" and self._special else None
            result.append(
                Piece("template", end.group() if end else self.tokenizer.eos_token, True, before.branch)
            )
            rest = piece.text[end.end() :] if end else piece.text
            if rest:
                result.append(Piece(piece.kind, rest, piece.trained, piece.branch))
        if result[-1].said:
            result.append(Piece("template", self.tokenizer.eos_token, True, result[-1].branch))
        return result

    @cached_property
    def _special(self) -> re.Pattern | None:
        tokens = sorted(self.tokenizer.all_special_tokens, key=len, reverse=True)
        return (
            re.compile(r"\s*(?:" + "|".join(re.escape(token) for token in tokens) + ")") if tokens else None
        )


def _unfold(turns: Sequence[Turn]) -> list[tuple[Turn, ...]]:
    """The conversations that share one trunk: the trunk with each of its branches."""
    trunk = tuple(turn for turn in turns if turn.branch == 0)
    branches = sorted({turn.branch for turn in turns if turn.branch})
    if not branches:
        return [trunk]
    return [trunk + tuple(turn for turn in turns if turn.branch == branch) for branch in branches]


def _join_neighbours(turns: Sequence[Turn]) -> list[tuple[Turn, list]]:
    """Joins turns of one role that follow each other; each part keeps the branch it came with."""
    joined: list[tuple[Turn, list]] = []
    for turn in turns:
        parts = [(part, turn.branch) for part in turn.parts]
        if joined and joined[-1][0].role == turn.role and joined[-1][0].trained == turn.trained:
            if turn.role == "assistant" and joined[-1][1] and parts:
                parts.insert(0, (TextPart("\n"), turn.branch))
            joined[-1][1].extend(parts)
        else:
            joined.append((turn, parts))
    return joined
