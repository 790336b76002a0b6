"""Turns conversations into tokens and labels: what the model reads, and what the loss counts.

Label masks come from structure, never from a search in text. A conversation is first split into pieces
(:mod:`vila2.model.pieces`), and each piece is known to be template, utterance or image. The text of an
utterance is tokenized with special tokens disabled, so a caption that contains ``<image>``, an end-of-turn
marker or ``<loc_005>`` stays plain text.
"""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from vila2.data.images import decode_image, image_size
from vila2.data.sample import ImagePart, Sample
from vila2.errors import DataError, ModelError
from vila2.model.coordinate_scheme import scheme_of
from vila2.model.encoded import IGNORED, MEDIA, Encoded, Measured
from vila2.model.image_tokens import ImageTokens
from vila2.model.pieces import Piece, PieceMaker, Style
from vila2.model.special_tokens import text_tokenizer

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedTokenizerBase, ProcessorMixin

_TYPES = "token_type_ids"  # media types of Gemma 3; in PaliGemma it marks what is read in both directions


class _Span(NamedTuple):
    """The tokens ``start`` to ``stop`` of the sample's image number ``image``."""

    start: int
    stop: int
    image: int


@dataclass(frozen=True, slots=True)
class _Images:
    """The images of a sample as the processor reads them.

    Attributes:
        tokens: token ids of each image's placeholder.
        sizes: width and height of each image in pixels.
        inputs: image tensors of all images.
    """

    tokens: list[list[int]] = field(default_factory=list)
    sizes: list[tuple[int, int]] = field(default_factory=list)
    inputs: dict[str, Tensor] = field(default_factory=dict)


@dataclass(slots=True)
class _Row:
    """The tokens of a sample while they are collected."""

    ids: list[int] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    branches: list[int] = field(default_factory=list)
    spans: list[_Span] = field(default_factory=list)

    def add(self, tokens: Sequence[int], *, trained: bool = False, branch: int = 0) -> None:
        self.ids += tokens
        self.labels += tokens if trained else [IGNORED] * len(tokens)
        self.branches += [branch] * len(tokens)

    def cut(self, end: int) -> None:
        """Removes the tokens from ``end`` on."""
        del self.ids[end:], self.labels[end:], self.branches[end:]


class ConversationEncoder:
    """Turns samples into token ids and labels for one processor.

    Args:
        processor: processor of any image-text-to-text model, with tokenizer, image processor and chat
            template.
        max_length: largest number of tokens of a sample; longer conversations are cut at the end.

    Raises:
        ModelError: the processor has no image token, or its tokenizer lacks the tokens of its coordinates.
    """

    def __init__(self, processor: ProcessorMixin, *, max_length: int = 4096) -> None:
        self.processor = processor
        self.tokenizer: PreTrainedTokenizerBase = processor.tokenizer
        self.max_length = max_length
        self.image_token: str = getattr(processor, "image_token", None) or ""
        if not self.image_token:
            raise ModelError(
                f"{type(processor).__name__} names no image token",
                hint="use the processor of an image-text-to-text model",
            )
        self.coordinates = scheme_of(processor)
        self._maker = PieceMaker(processor, image_token=self.image_token, coordinates=self.coordinates)
        self._text_tokenizer = text_tokenizer(self.tokenizer)
        self._pictures = ImageTokens(processor, image_token=self.image_token)
        self._template_ids: dict[str, list[int]] = {}
        # A processor that takes an answer besides the prompt reads the prompt in both directions.
        self._prefix_model = "suffix" in inspect.signature(processor.__call__).parameters

    def encode(self, sample: Sample, style: Style = "chat") -> Encoded:
        """Encodes one sample.

        Args:
            sample: conversation whose ``ImagePart`` indices fit its images.
            style: "chat" uses the model's chat template. "plain" is the format of the first two stages (VILA,
                section 2.3): image, text, end of sequence. In a dialogue, an end of sequence also follows
                every answer that a question comes after.

        Raises:
            DataError: no turn is trained, an image is missing, cannot be decoded or is refused by the
                processor, the chat template refuses the conversation, or nothing trained is left after
                cutting.
            ModelError: the chat template drops or reorders parts of the conversation.
        """
        _check_trained(sample)
        check_style(self.processor, style)
        images = self._images(sample)
        row = self._row(sample, style, images)
        length = len(row.ids)
        inputs = self._cut(row, sample, images)
        if all(label == IGNORED for label in row.labels):
            raise self._nothing_left(sample)
        name, media = self._media(row, {MEDIA, _TYPES} & inputs.keys())
        return Encoded(
            row.ids,
            row.labels,
            row.branches if any(row.branches) else None,
            {name: value for name, value in inputs.items() if name not in (MEDIA, _TYPES)},
            media,
            length - len(row.ids),
            name,
        )

    def _row(self, sample: Sample, style: Style, images: _Images) -> _Row:
        """The tokens of the whole conversation, before cutting."""
        row = _Row()
        prompt_end = self._pictures.prompt_end if images.tokens else []
        pieces = self._pieces(sample, style, images.sizes)
        for piece, text_ids in zip(pieces, self._ids(pieces), strict=True):
            tokens = images.tokens[int(piece.text)] if piece.kind == "image" else text_ids
            if piece.kind == "image":
                row.spans.append(_Span(len(row.ids), len(row.ids) + len(tokens), int(piece.text)))
            if piece.trained and prompt_end:
                row.add(prompt_end)
                prompt_end = []
            row.add(tokens, trained=piece.trained, branch=piece.branch)
        return row

    def _cut(self, row: _Row, sample: Sample, images: _Images) -> Mapping[str, Tensor]:
        """Cuts a row at ``max_length``; returns the image tensors of the images that are left."""
        row.cut(self._end(len(row.ids), row.spans))
        kept = [span.image for span in row.spans if span.stop <= len(row.ids)]
        if len(kept) == len(row.spans):
            return images.inputs
        return self._image_inputs(sample, kept, [images.tokens[index] for index in kept])

    def _media(self, row: _Row, names: Collection[str]) -> tuple[str, list[int] | None]:
        """The name and the values of the media types; see :class:`Encoded`."""
        ids, labels = row.ids, row.labels
        if self._prefix_model:
            first = next(place for place, label in enumerate(labels) if label != IGNORED)
            return _TYPES, [0] * first + [1] * (len(ids) - first)
        for name in names:
            processor: Any = self.processor  # not every processor has this method
            return name, list(processor.create_mm_token_type_ids([ids])[0])
        return MEDIA, None

    def length(self, sample: Sample, style: Style = "chat") -> int:
        """The number of tokens that :meth:`encode` will give; see :meth:`measure`."""
        return self.measure(sample, style).tokens

    def measure(self, sample: Sample, style: Style = "chat", *, exact: bool = True) -> Measured:
        """Measures a sample and checks that it can be trained on, without decoding an image.

        Args:
            sample: conversation, see :meth:`encode`.
            style: style of the conversation, see :meth:`encode`.
            exact: whether an image of every size is processed to count its tokens. Otherwise the processor's
                own count is used, once it was right often enough. Images of unusual shape are always
                processed.

        Raises:
            DataError: as for :meth:`encode`, except for an image that is broken after its header.
            ModelError: as for :meth:`encode`.
        """
        _check_trained(sample)
        check_style(self.processor, style)
        _images_used(sample)
        sizes = [image_size(data, where=f"{sample.key}[{n}]") for n, data in enumerate(sample.images)]
        total, first_trained = 0, -1
        spans: list[_Span] = []
        pieces = self._pieces(sample, style, sizes)
        for piece, ids in zip(pieces, self._ids(pieces), strict=True):
            tokens = len(ids)
            if piece.kind == "image":
                number = int(piece.text)
                where = f"{sample.key}[{number}]"
                tokens = self._pictures.length(
                    sizes[number], several=len(sizes) > 1, where=where, exact=exact
                )
                spans.append(_Span(total, total + tokens, number))
            if piece.trained and tokens and first_trained < 0:
                total += len(self._pictures.prompt_end) if sizes else 0
                first_trained = total
            total += tokens
        end = self._end(total, spans)
        if not 0 <= first_trained < end:
            raise self._nothing_left(sample)
        return Measured(end, total - end)

    def _nothing_left(self, sample: Sample) -> DataError:
        return DataError(
            f"sample {sample.key!r}: nothing to train on is left within max_length={self.max_length}",
            hint="raise the stage's max_length, or shorten the sample's prompts",
        )

    def _end(self, length: int, images: Sequence[_Span]) -> int:
        """The number of tokens that fit. An image that would be cut in two is left out with all that follows.

        Args:
            length: number of tokens of the whole conversation.
            images: tokens of each image.
        """
        if length <= self.max_length:
            return length
        return min(self.max_length, *(span.start for span in images if span.stop > self.max_length), length)

    def _pieces(self, sample: Sample, style: Style, sizes: Sequence[tuple[int, int]]) -> list[Piece]:
        pieces = [*self._maker.pieces(sample, style, sizes)]
        if self._prefix_model and sizes:
            # The processor ends a prompt by itself. Otherwise the line break before an answer would come
            # twice.
            for number, piece in enumerate(pieces):
                if piece.trained:
                    pieces[number] = replace(piece, text=piece.text.removeprefix("\n"))
                    break
        return pieces

    def _ids(self, pieces: Sequence[Piece]) -> Iterator[list[int]]:
        """The token ids of every piece; empty for images."""
        texts = [piece.text for piece in pieces if piece.kind == "text"]
        # All at once, since a call to the tokenizer costs many times as much as the tokens of a question.
        encode: Any = self._text_tokenizer
        said: Iterator[list[int]] = iter(
            encode(texts, add_special_tokens=False, split_special_tokens=True)["input_ids"] if texts else ()
        )
        for piece in pieces:
            if piece.kind == "text":
                yield next(said)
            elif piece.kind == "tokens":
                yield cast(list[int], self.tokenizer.convert_tokens_to_ids(list(piece.tokens)))
            else:
                yield [] if piece.kind == "image" else self._template(piece.text)

    def _template(self, text: str) -> list[int]:
        if text not in self._template_ids:  # there are few distinct ones, so each is tokenized once
            ids = self.tokenizer(text, add_special_tokens=False)["input_ids"]
            self._template_ids[text] = cast(list[int], ids)  # one text gives one list
        return self._template_ids[text]

    def _images(self, sample: Sample) -> _Images:
        """Decodes and processes the images of a sample."""
        used = _images_used(sample)
        if not used:
            return _Images()
        pictures = [decode_image(data, where=f"{sample.key}[{n}]") for n, data in enumerate(sample.images)]
        # The processor wants images in the order of their placeholders.
        ordered = [pictures[index] for index in used]
        names = [f"{sample.key}[{index}]" for index in used]
        rows, batch = self._pictures.read(ordered, where=names)
        tokens: list[list[int]] = [[] for _ in used]
        for row, index in zip(rows, used, strict=True):
            tokens[index] = row
        return _Images(tokens, [picture.size for picture in pictures], batch)

    def _image_inputs(
        self, sample: Sample, kept: Sequence[int], tokens: Sequence[list[int]]
    ) -> dict[str, Tensor]:
        """Processes some of the sample's images again, without the others.

        Args:
            sample: sample with the images.
            kept: indices of the images, in the order of their placeholders.
            tokens: token ids that each of them had beside the others.

        Raises:
            DataError: the images become other tokens without the others.
        """
        pictures = [decode_image(sample.images[n], where=f"{sample.key}[{n}]") for n in kept]
        names = [f"{sample.key}[{n}]" for n in kept]
        rows, batch = self._pictures.read(pictures, where=names) if pictures else ([], {})
        if rows != list(tokens):
            raise DataError(
                f"sample {sample.key!r} has more images than fit within max_length={self.max_length}, and "
                f"{type(self.processor).__name__} reads one image differently than several",
                hint="raise the stage's max_length, or leave the sample out",
            )
        return batch


def _check_trained(sample: Sample) -> None:
    if not any(turn.trained for turn in sample.turns):
        raise DataError(f"sample {sample.key!r} has no turn to train on", hint="give it an assistant turn")


def _images_used(sample: Sample) -> list[int]:
    """The indices of the sample's images in the order in which its turns place them.

    Raises:
        DataError: an image that is missing, or not placed exactly once.
    """
    used = [part.index for turn in sample.turns for part in turn.parts if isinstance(part, ImagePart)]
    if sorted(set(used)) != list(range(len(sample.images))) or len(used) != len(set(used)):
        raise DataError(
            f"sample {sample.key!r} has {len(sample.images)} images but its turns place images {used}",
            hint="place every image exactly once",
        )
    return used


def check_style(processor: ProcessorMixin, style: Style) -> None:
    """Checks that a processor can write conversations in a style.

    Raises:
        ModelError: style "chat" with a processor that has no chat template.
    """
    if style == "chat" and not has_chat_template(processor):
        raise ModelError(
            f"{type(processor).__name__} has no chat template, which style: chat needs",
            hint="use style: plain in the stage, or put a chat_template.jinja into the model's folder",
        )


def has_chat_template(processor: ProcessorMixin) -> bool:
    """Whether a processor, or its tokenizer, has a chat template."""
    return bool(getattr(processor, "chat_template", None) or processor.tokenizer.chat_template)
