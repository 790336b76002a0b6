"""Splits conversations into pieces: template text, utterances, location tokens and images, in reading order.

In the chat style, :mod:`vila2.model.template_shapes` finds what the template writes around utterances. So
each piece is known to be template, utterance or image, and which one. Boxes and points are written in the
model's own coordinate scheme.

Two limits of templates are handled in the field's standard way. Images stand where the template puts them, as
in LLaVA before the text of their turn. If a template has no system turn, its text begins the next user turn.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast

from vila2.data.coordinates import CoordinateScheme
from vila2.data.sample import BoxPart, ImagePart, Part, PolygonPart, Sample, SpokenPart, TextPart, Turn
from vila2.data.tar_sample import says_something
from vila2.errors import DataError, ModelError
from vila2.model.template_shapes import Rendered, TemplateShapes

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase, ProcessorMixin

log = logging.getLogger("vila2.model")

Style = Literal["plain", "chat"]


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of tokens of one kind.

    Attributes:
        kind: template text, an utterance's text or location tokens, or an image.
        text: the text; for an image its index.
        trained: whether the loss counts it.
        branch: branch that it belongs to; 0 for the trunk.
        tokens: location tokens.
        masked: whether it is context within an utterance that is trained on.
    """

    kind: Literal["template", "text", "tokens", "image"]
    text: str
    trained: bool = False
    branch: int = 0
    tokens: tuple[str, ...] = ()
    masked: bool = False

    @property
    def said(self) -> bool:
        """Whether it belongs to an utterance that is trained on."""
        return self.trained and self.kind in ("text", "tokens")


class _Said(NamedTuple):
    """A part of an utterance, its branch, and whether the loss counts it."""

    part: Part
    branch: int
    trained: bool


# Turns, each with all that is said in it.
_Conversation = list[tuple[Turn, list[_Said]]]


class PieceMaker:
    """Splits conversations into pieces for one processor.

    Args:
        processor: processor with a tokenizer and a chat template.
        image_token: placeholder of an image in a rendered template.
        coordinates: scheme in which the model writes boxes and points.
    """

    def __init__(self, processor: ProcessorMixin, *, image_token: str, coordinates: CoordinateScheme) -> None:
        self.processor = processor
        self.tokenizer: PreTrainedTokenizerBase = processor.tokenizer
        self.coordinates = coordinates
        self._shapes = TemplateShapes(processor, image_token=image_token)
        self._told: set[str] = set()

    def pieces(self, sample: Sample, style: Style, sizes: Sequence[tuple[int, int]]) -> Iterator[Piece]:
        """Yields the pieces of a conversation, first the trunk and then its branches.

        Args:
            sample: the conversation.
            style: see :meth:`vila2.model.conversation.ConversationEncoder.encode`.
            sizes: width and height of each image in pixels; only a sample with one image can have
                coordinates.

        Raises:
            DataError: coordinates that cannot be written, or a conversation that the chat template refuses;
                the message names the sample.
            ModelError: the chat template drops or reorders parts of a conversation; the message names the
                sample.
        """
        size = sizes[0] if len(sizes) == 1 else None
        apart = [replace(turn, parts=self.coordinates.apart(turn.parts)) for turn in sample.turns]
        for number, turns in enumerate(_unfold(apart)):
            try:
                pieces = (self._plain_pieces if style == "plain" else self._chat_pieces)(turns, size)
            except (DataError, ModelError) as error:
                raise type(error)(f"sample {sample.key!r}: {error.what}", hint=error.hint) from None
            yield from (piece for piece in pieces if piece.branch or number == 0)

    def _pieces_of(
        self, part: SpokenPart, size: tuple[int, int] | None, before: str, **where: Any
    ) -> list[Piece]:
        """The pieces, text or location tokens, of one part of an utterance, after the text ``before``."""
        if isinstance(part, TextPart) or self.coordinates.kind == "text":
            return [Piece("text", before + self.coordinates.to_text([part], size), **where)]
        if isinstance(part, PolygonPart):  # `apart` has made points of it
            raise DataError("a polygon is no run of tokens", hint="call CoordinateScheme.apart before")
        tokens = self.coordinates.tokens(part.box if isinstance(part, BoxPart) else part.point, size)
        space = [Piece("text", before, **where)] if before else []
        return [*space, Piece("tokens", "", **where, tokens=tokens)]

    def _plain_pieces(self, turns: Sequence[Turn], size: tuple[int, int] | None) -> list[Piece]:
        """The pieces in the plain style: all parts one after the other, then the end token."""
        end = str(self.tokenizer.eos_token)
        pieces = [Piece("template", self._opening)] if self._opening else []
        for before, turn, following in zip([None, *turns], turns, [*turns[1:], None], strict=False):
            for number, part in enumerate(turn.parts):
                if isinstance(part, ImagePart):
                    pieces.append(Piece("image", str(part.index), branch=turn.branch))
                    continue
                # A newline separates the original caption from its recaption (view `concat`). Texts with an
                # image between them, as in interleaved documents, need none.
                apart = number == 0 and pieces and pieces[-1].kind in ("text", "tokens")
                apart = apart and not (before is not None and _goes_on(before.trained, turn))
                pieces += self._pieces_of(
                    part, size, "\n" if apart else "", trained=turn.trained, branch=turn.branch
                )
            asked = following is not None and following.role != turn.role and says_something(following)
            if following is not None and asked and turn.trained and not following.trained:
                # A question follows. The model must learn to end here instead of asking it itself.
                pieces.append(Piece("template", end, True, turn.branch))
        last = turns[-1]
        pieces.append(Piece("template", end, last.trained, last.branch))
        return pieces

    @cached_property
    def _opening(self) -> str:
        """The beginning-of-sequence token if this tokenizer adds one by itself, otherwise empty."""
        encode: Any = self.tokenizer
        bare = encode("a", add_special_tokens=False)["input_ids"]
        full = encode("a")["input_ids"]
        bos = cast(str | None, self.tokenizer.bos_token)
        return bos if bos and len(full) > len(bare) and full[0] == self.tokenizer.bos_token_id else ""

    def _chat_pieces(self, turns: Sequence[Turn], size: tuple[int, int] | None) -> list[Piece]:
        """The pieces in the chat style: template text with the parts in between."""
        joined, rendered = self._fitted(_join_neighbors(turns))
        utterances = [
            (said, turn)
            for number, (turn, parts) in enumerate(joined)
            for said in (_without_ends(parts) if number in rendered.moved else parts)
        ]
        pieces: list[Piece] = []
        branch = 0
        for text, which in zip(rendered.glue, rendered.order, strict=False):
            (part, own_branch, trained), turn = utterances[which]
            branch = max(branch, own_branch)
            if text:
                pieces.append(Piece("template", text, branch=branch))
            if isinstance(part, ImagePart):
                pieces.append(Piece("image", str(part.index), branch=own_branch))
            else:
                space = (
                    " " if pieces and pieces[-1].kind == "template" and pieces[-1].text.endswith(" ") else ""
                )
                if space:  # tokenizers attach a space to the word after it
                    pieces[-1] = Piece("template", pieces[-1].text[:-1], branch=pieces[-1].branch)
                masked = turn.trained and not trained
                pieces += self._pieces_of(
                    part, size, space, trained=trained, branch=own_branch, masked=masked
                )
        if rendered.glue[-1]:
            pieces.append(Piece("template", rendered.glue[-1], branch=branch))
        return self._with_ends(pieces)

    def _fitted(self, turns: _Conversation) -> tuple[_Conversation, Rendered]:
        """The turns in a form that the template accepts, and how it renders them."""
        try:
            rendered = self._shapes.rendered(turns)
        except (DataError, ModelError):
            folded = _system_into_user(turns)
            if folded is None:
                raise
            try:
                turns, rendered = folded, self._shapes.rendered(folded)
            except (DataError, ModelError):
                rendered = self._shapes.rendered(
                    turns
                )  # raises again, since the first error says what is wrong
            else:
                self._tell("the chat template has no system turn, so its text begins the next user turn")
        if rendered.moved:
            self._tell(
                "the chat template has its own place for the images of a turn, such as before its text."
                " Samples are trained on as it writes them, as in LLaVA's own code"
            )
        return turns, rendered

    def _tell(self, what: str) -> None:
        if what not in self._told:  # once per model, not for every sample
            self._told.add(what)
            log.warning("%s", what)

    def _with_ends(self, pieces: list[Piece]) -> list[Piece]:
        """Trains the end-of-turn token after each trained utterance, so that the model learns to stop."""
        eos = str(self.tokenizer.eos_token)
        result: list[Piece] = []
        for number, piece in enumerate(pieces):
            before = pieces[number - 1] if number else None
            if not (before and before.said) or piece.said or piece.masked:
                result.append(piece)
                continue
            end = self._special.match(piece.text) if piece.kind == "template" and self._special else None
            result.append(Piece("template", end.group() if end else eos, True, before.branch))
            rest = piece.text[end.end() :] if end else piece.text
            if rest:
                result.append(Piece(piece.kind, rest, piece.trained, piece.branch))
        if result[-1].said:
            result.append(Piece("template", eos, True, result[-1].branch))
        return result

    @cached_property
    def _special(self) -> re.Pattern[str] | None:
        """Matches a special token at the start of a text, after white space."""
        tokens = sorted(self.tokenizer.all_special_tokens, key=len, reverse=True)
        return (
            re.compile(r"\s*(?:" + "|".join(re.escape(token) for token in tokens) + ")") if tokens else None
        )


def _system_into_user(turns: _Conversation) -> _Conversation | None:
    """Puts the system's text before the next user turn, as Gemma's template does; None if there is none."""
    folded: _Conversation = []
    waiting: list[_Said] = []
    for turn, parts in turns:
        if turn.role == "system":
            waiting += parts
        elif waiting and turn.role == "user":
            branch = parts[0].branch if parts else turn.branch
            folded.append((turn, [*waiting, _Said(TextPart("\n\n"), branch, turn.trained), *parts]))
            waiting = []
        else:
            folded.append((turn, parts))
    return folded if len(folded) < len(turns) and not waiting else None


def _without_ends(parts: Sequence[_Said]) -> list[_Said]:
    """Removes, in a turn whose images move, the white space between its text and the images."""
    texts = [place for place, said in enumerate(parts) if isinstance(said.part, TextPart)]
    cleaned = [*parts]
    for place, strip in ((texts[0], str.lstrip), (texts[-1], str.rstrip)) if texts else ():
        part = cleaned[place].part
        if isinstance(part, TextPart):
            cleaned[place] = cleaned[place]._replace(part=replace(part, text=strip(part.text)))
    return cleaned


def _unfold(turns: Sequence[Turn]) -> list[tuple[Turn, ...]]:
    """The conversations of a tree: the trunk with each of its branches."""
    trunk = tuple(turn for turn in turns if turn.branch == 0)
    branches = sorted({turn.branch for turn in turns if turn.branch})
    if not branches:
        return [trunk]
    return [trunk + tuple(turn for turn in turns if turn.branch == branch) for branch in branches]


def _join_neighbors(turns: Sequence[Turn]) -> _Conversation:
    """Joins consecutive turns of one role; each part keeps its branch, and whether it is trained.

    The joined turn is trained where one of them is: a merge masks sentences within an answer.
    """
    joined: _Conversation = []
    for turn in turns:
        parts = [_Said(part, turn.branch, turn.trained) for part in turn.parts]
        answers = turn.role == "assistant"
        last = joined[-1][0] if joined else None
        if last is not None and last.role == turn.role and (last.trained == turn.trained or answers):
            before = joined[-1][1]
            goes_on = bool(before) and _goes_on(before[-1].trained, turn)
            if before and parts and not goes_on and (answers or _texts_meet(before[-1].part, parts[0].part)):
                parts.insert(0, _Said(TextPart("\n"), turn.branch, turn.trained))
            before.extend(parts)
            joined[-1] = (turn if turn.trained else last, before)
        else:
            joined.append((turn, parts))
    return joined


def _goes_on(trained_before: bool, turn: Turn) -> bool:
    """Whether a turn goes on with an answer, part of which is masked; it then begins with its own space."""
    first = turn.parts[0] if turn.parts else None
    spaced = isinstance(first, TextPart) and first.text[:1].isspace()
    return turn.role == "assistant" and spaced and trained_before != turn.trained


def _texts_meet(before: Part, after: Part) -> bool:
    """Whether two parts are texts with no white space between them."""
    if isinstance(before, ImagePart) or isinstance(after, ImagePart):
        return False
    ends = isinstance(before, TextPart) and (not before.text or before.text[-1].isspace())
    begins = isinstance(after, TextPart) and (not after.text or after.text[0].isspace())
    return not (ends or begins)
