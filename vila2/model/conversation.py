"""Conversations to tokens: what the model reads, and which of it the loss counts.

Label masks come from structure, never from searching text: the chat template is rendered once per
conversation *shape* with a sentinel in place of every utterance, so that each token is known to be
template, utterance or image, and whose. The text of an utterance is tokenised with special tokens
switched off: a caption that contains ``<image>``, an end-of-turn marker or ``<loc_005>`` stays plain
text. Boxes and points are written in the model's own coordinate scheme.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from PIL import Image

from vila2.data.images import decode_image, image_size
from vila2.data.packed_sample import says_something
from vila2.data.sample import BoxPart, ImagePart, PointPart, Sample, TextPart, Turn
from vila2.errors import DataError, ModelError
from vila2.model.coordinates import scheme_of
from vila2.model.special_tokens import text_tokenizer

Style = Literal["plain", "chat"]
IGNORED = -100  # the label that the loss leaves out
_MEDIA = "mm_token_type_ids"  # what processors call it
_SENTINEL = re.compile("\ue000(\\d+)\ue001")


@dataclass(frozen=True, slots=True)
class Encoded:
    """One sample as the model sees it.

    Attributes:
        input_ids: token ids, length L.
        labels: the same, with ``IGNORED`` where the loss does not look, length L.
        branches: 0 for the trunk, k for branch k, length L; None for a conversation without branches.
        inputs: the processor's image tensors (``pixel_values`` ...), empty for text-only samples.
        media: what each token stands for (0 text, 1 image), length L, for models whose positions need it
            (Qwen-VL); None for the others.
        truncated: tokens that were cut at ``max_length``.
    """

    input_ids: list[int]
    labels: list[int]
    branches: list[int] | None = None
    inputs: Mapping[str, Any] = field(default_factory=dict)
    media: list[int] | None = None
    truncated: int = 0

    @property
    def position_ids(self) -> list[int]:
        """Positions of the tokens; every branch restarts where the trunk ended."""
        if self.branches is None:
            return list(range(len(self.input_ids)))
        return _branch_positions(self.branches)


@dataclass(frozen=True, slots=True)
class _Piece:
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


class ConversationEncoder:
    """Turns samples into token ids and labels for one processor.

    Args:
        processor: of any image-text-to-text model: a tokenizer, an image processor, a chat template.
        max_length: longer conversations are cut at the end.

    Raises:
        ModelError: the processor has no chat template or no image token, or its tokenizer lacks the tokens
            that its coordinates are written in.
    """

    def __init__(self, processor: Any, *, max_length: int = 4096) -> None:
        self.processor = processor
        self.tokenizer = processor.tokenizer
        self.max_length = max_length
        self.image_token: str = getattr(processor, "image_token", None) or ""
        if not self.image_token:
            raise ModelError(
                f"{type(processor).__name__} names no image token",
                mend="use a processor of an image-text-to-text model",
            )
        self.coordinates = scheme_of(processor)
        self._text_tokenizer = text_tokenizer(self.tokenizer)
        self._templates: dict[tuple, list[str]] = {}
        self._template_ids: dict[str, list[int]] = {}
        self._image_lengths: dict[tuple[int, int], int] = {}

    def encode(self, sample: Sample, style: Style = "chat") -> Encoded:
        """Encodes one sample.

        Args:
            sample: its ``ImagePart`` indices must fit its images.
            style: "chat" uses the model's chat template; "plain" is the format of the first two
                stages (VILA section 2.3): image, text, end of sequence. Of a dialogue every answer
                that a question follows ends so as well.

        Raises:
            DataError: no turn is trained, an image is missing, or nothing trained is left after cutting.
        """
        if not any(turn.trained for turn in sample.turns):
            raise DataError(
                f"sample {sample.key!r} has no turn to train on", mend="give it an assistant turn"
            )
        images, sizes, inputs = self._image_tokens(sample)
        ids: list[int] = []
        labels: list[int] = []
        branches: list[int] = []
        spans: list[tuple[int, int, int]] = []  # of each image: first token, end, index
        pieces = [*self._pieces(sample, style, sizes)]
        for piece, text_ids in zip(pieces, self._ids(pieces), strict=True):
            tokens = images[int(piece.text)] if piece.kind == "image" else text_ids
            if piece.kind == "image":
                spans.append((len(ids), len(ids) + len(tokens), int(piece.text)))
            ids += tokens
            labels += tokens if piece.trained else [IGNORED] * len(tokens)
            branches += [piece.branch] * len(tokens)
        cut = len(ids) - self._end(len(ids), spans)
        if cut:
            ids, labels, branches = ids[:-cut], labels[:-cut], branches[:-cut]
            kept = [index for _, stop, index in spans if stop <= len(ids)]
            inputs = inputs if len(kept) == len(spans) else self._image_inputs(sample, kept)
        if all(label == IGNORED for label in labels):
            raise DataError(
                f"sample {sample.key!r}: nothing to train on is left within max_length={self.max_length}",
                mend="raise the stage's max_length, or shorten the sample's prompts",
            )
        media = inputs.pop(_MEDIA, None)
        if media is not None:
            media = list(self.processor.create_mm_token_type_ids([ids])[0])
        return Encoded(ids, labels, branches if any(branches) else None, inputs, media, cut)

    def length(self, sample: Sample, style: Style = "chat") -> int:
        """How many tokens :meth:`encode` will give, without decoding an image.

        Raises:
            DataError: an image whose size can not be read.
        """
        sizes = [image_size(data, where=f"{sample.key}[{n}]") for n, data in enumerate(sample.images)]
        total, spans = 0, []
        pieces = [*self._pieces(sample, style, sizes)]
        for piece, ids in zip(pieces, self._ids(pieces), strict=True):
            tokens = len(ids)
            if piece.kind == "image":
                tokens = self._image_length(sizes[int(piece.text)])
                spans.append((total, total + tokens, int(piece.text)))
            total += tokens
        return self._end(total, spans)

    def _image_length(self, size: tuple[int, int]) -> int:
        """Tokens of an image of a width and height in pixels."""
        if size not in self._image_lengths:
            # It depends on the size alone, so that any image of that size tells.
            self._image_lengths[size] = len(self._process([Image.new("RGB", size)])["input_ids"][0])
        return self._image_lengths[size]

    def _pieces(self, sample: Sample, style: Style, sizes: Sequence[tuple[int, int]]) -> Iterator[_Piece]:
        """The conversation from its first token to its last, the trunk once and then its branches."""
        size = sizes[0] if len(sizes) == 1 else None
        for number, turns in enumerate(_unfold(sample.turns)):
            try:
                pieces = (self._plain_pieces if style == "plain" else self._chat_pieces)(turns, size)
            except DataError as error:
                raise DataError(f"sample {sample.key!r}: {error.what}", mend=error.mend) from None
            yield from (piece for piece in pieces if piece.branch or number == 0)

    def _end(self, length: int, images: Sequence[tuple[int, int, int]]) -> int:
        """How many tokens fit; an image that would be cut in two is left out, and what follows it.

        Args:
            length: tokens of the whole conversation.
            images: first token, end and index of each image.
        """
        if length <= self.max_length:
            return length
        return min(self.max_length, *(start for start, stop, _ in images if stop > self.max_length), length)

    def _ids(self, pieces: Sequence[_Piece]) -> Iterator[list[int]]:
        """The token ids of every piece; none of images."""
        texts = [piece.text for piece in pieces if piece.kind == "text"]
        # All at once: a call to the tokenizer costs many times what a question has to be tokenised.
        encoded = (
            self._text_tokenizer(texts, add_special_tokens=False, split_special_tokens=True)["input_ids"]
            if texts
            else []
        )
        said = iter(encoded)
        for piece in pieces:
            if piece.kind == "text":
                yield next(said)
            elif piece.kind == "tokens":
                yield self.tokenizer.convert_tokens_to_ids(list(piece.tokens))
            else:
                yield [] if piece.kind == "image" else self._template(piece.text)

    def _template(self, text: str) -> list[int]:
        if text not in self._template_ids:  # few distinct ones: tokenised once
            self._template_ids[text] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return self._template_ids[text]

    def _image_tokens(self, sample: Sample) -> tuple[list[list[int]], list[tuple[int, int]], dict[str, Any]]:
        """Token ids of each image's placeholder, width and height of each image, and the image tensors."""
        used = [part.index for turn in sample.turns for part in turn.parts if isinstance(part, ImagePart)]
        if sorted(set(used)) != list(range(len(sample.images))) or len(used) != len(set(used)):
            raise DataError(
                f"sample {sample.key!r} has {len(sample.images)} images but its turns place images {used}",
                mend="place every image exactly once",
            )
        if not used:
            return [], [], {}
        pictures = [decode_image(data, where=f"{sample.key}[{n}]") for n, data in enumerate(sample.images)]
        # The processor wants images in the order of their placeholders.
        ordered = [pictures[index] for index in used]
        batch = self._process(ordered)
        rows = [batch.pop("input_ids")[0].tolist()] if len(ordered) == 1 else None
        if rows is None:
            batch.pop("input_ids")
            rows = [self._process([picture])["input_ids"][0].tolist() for picture in ordered]
        tokens: list[list[int]] = [[] for _ in used]
        for row, index in zip(rows, used, strict=True):
            tokens[index] = row
        return tokens, [picture.size for picture in pictures], batch

    def _image_inputs(self, sample: Sample, kept: Sequence[int]) -> dict[str, Any]:
        """The image tensors of some of the sample's images, in the order given."""
        pictures = [decode_image(sample.images[n], where=f"{sample.key}[{n}]") for n in kept]
        batch = self._process(pictures) if pictures else {}
        batch.pop("input_ids", None)
        return batch

    def _process(self, pictures: list) -> dict[str, Any]:
        batch = self.processor(
            text=[self.image_token * len(pictures)],
            images=[pictures],
            add_special_tokens=False,
            return_tensors="pt",
        )
        return {
            name: value for name, value in batch.items() if name not in ("attention_mask", "token_type_ids")
        }

    def _pieces_of(
        self, part: TextPart | BoxPart | PointPart, size: tuple[int, int] | None, before: str, **where: Any
    ) -> list[_Piece]:
        """A part of an utterance, behind white space: text, or location tokens by themselves."""
        if isinstance(part, TextPart) or self.coordinates.kind == "text":
            return [_Piece("text", before + self.coordinates.to_text([part], size), **where)]
        tokens = self.coordinates.tokens(part.box if isinstance(part, BoxPart) else part.point, size)
        space = [_Piece("text", before, **where)] if before else []
        return [*space, _Piece("tokens", "", **where, tokens=tokens)]

    def _plain_pieces(self, turns: Sequence[Turn], size: tuple[int, int] | None) -> list[_Piece]:
        pieces = [_Piece("template", self._opening)] if self._opening else []
        for turn, following in zip(turns, [*turns[1:], None], strict=True):
            for number, part in enumerate(turn.parts):
                if isinstance(part, ImagePart):
                    pieces.append(_Piece("image", str(part.index), branch=turn.branch))
                    continue
                # A newline keeps the original caption and its recaption apart (template `concat`); an image
                # between two texts, as in interleaved documents, does so itself.
                apart = number == 0 and pieces and pieces[-1].kind in ("text", "tokens")
                pieces += self._pieces_of(
                    part, size, "\n" if apart else "", trained=turn.trained, branch=turn.branch
                )
            if following is not None and turn.trained and not following.trained and says_something(following):
                # A question follows: the model must learn that what it says ends here, not to ask it itself.
                pieces.append(_Piece("template", self.tokenizer.eos_token, True, turn.branch))
        last = turns[-1]
        pieces.append(_Piece("template", self.tokenizer.eos_token, last.trained, last.branch))
        return pieces

    @cached_property
    def _opening(self) -> str:
        """The beginning-of-sequence token, where this tokenizer adds one by itself."""
        bare = self.tokenizer("a", add_special_tokens=False)["input_ids"]
        full = self.tokenizer("a")["input_ids"]
        bos = self.tokenizer.bos_token
        return bos if bos and len(full) > len(bare) and full[0] == self.tokenizer.bos_token_id else ""

    def _chat_pieces(self, turns: Sequence[Turn], size: tuple[int, int] | None) -> list[_Piece]:
        turns = _join_neighbours(turns)
        utterances = [(part, turn, branch) for turn, parts in turns for part, branch in parts]
        shape = tuple((turn.role, tuple(isinstance(p, ImagePart) for p, _ in parts)) for turn, parts in turns)
        if shape not in self._templates:
            self._templates[shape] = self._render(shape)
        pieces: list[_Piece] = []
        branch = 0
        glue = self._templates[shape]
        for text, (part, turn, own_branch) in zip(glue, utterances, strict=False):
            branch = max(branch, own_branch)
            if text:
                pieces.append(_Piece("template", text, branch=branch))
            if isinstance(part, ImagePart):
                pieces.append(_Piece("image", str(part.index), branch=own_branch))
            else:
                space = (
                    " " if pieces and pieces[-1].kind == "template" and pieces[-1].text.endswith(" ") else ""
                )
                if space:  # tokenizers join a space to the word after it
                    pieces[-1] = _Piece("template", pieces[-1].text[:-1], branch=pieces[-1].branch)
                pieces += self._pieces_of(part, size, space, trained=turn.trained, branch=own_branch)
        if glue[-1]:
            pieces.append(_Piece("template", glue[-1], branch=branch))
        return self._with_ends(pieces)

    def _render(self, shape: tuple) -> list[str]:
        """The template text around the utterances of a conversation of this shape: n + 1 strings."""
        messages, count = [], 0
        for role, images in shape:
            content = []
            for image in images:
                content.append(
                    {"type": "image"} if image else {"type": "text", "text": f"\ue000{count}\ue001"}
                )
                count += 1
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

    def _with_ends(self, pieces: list[_Piece]) -> list[_Piece]:
        """Gives each trained utterance its end-of-turn token, so that the model learns to stop."""
        result: list[_Piece] = []
        for number, piece in enumerate(pieces):
            before = pieces[number - 1] if number else None
            if not (before and before.said) or piece.said:
                result.append(piece)
                continue
            end = self._special.match(piece.text) if piece.kind == "template" and self._special else None
            result.append(
                _Piece("template", end.group() if end else self.tokenizer.eos_token, True, before.branch)
            )
            rest = piece.text[end.end() :] if end else piece.text
            if rest:
                result.append(_Piece(piece.kind, rest, piece.trained, piece.branch))
        if result[-1].said:
            result.append(_Piece("template", self.tokenizer.eos_token, True, result[-1].branch))
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


def _branch_positions(branches: Sequence[int]) -> list[int]:
    trunk = sum(1 for branch in branches if branch == 0)
    positions, place, current = [], 0, 0
    for branch in branches:
        if branch != current:
            current, place = branch, trunk
        positions.append(place)
        place += 1
    return positions
