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

from PIL import Image

from vila2.data.images import MAX_PIXELS, decode_image, image_size
from vila2.data.sample import ImagePart, Sample
from vila2.errors import DataError, ModelError, one_line
from vila2.model.coordinate_scheme import scheme_of
from vila2.model.pieces import Piece, PieceMaker, Style
from vila2.model.special_tokens import text_tokenizer

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedTokenizerBase, ProcessorMixin

IGNORED = -100  # the label that the loss does not count
_MEDIA = "mm_token_type_ids"  # name of the media types in most processors
_TYPES = "token_type_ids"  # their name in Gemma 3; in PaliGemma it marks what is read in both directions
_ENOUGH_SIZES = 32  # number of image sizes after which a processor's own count is trusted
# Outputs that processors make of a whole prompt. A conversation in pieces has no whole prompt.
_OF_THE_PROMPT = (
    "cross_attention_mask",
    "image_attention_mask",
    "images_seq_mask",
    "images_emb_mask",
    "qformer_input_ids",
)


@dataclass(frozen=True, slots=True)
class Encoded:
    """One sample as the model sees it.

    Attributes:
        input_ids: token ids, length L.
        labels: token ids, with ``IGNORED`` where the loss does not count, length L.
        branches: branch of each token, length L, with 0 for the trunk; None for a conversation without
            branches.
        inputs: image tensors of the processor (``pixel_values`` ...); empty for text-only samples.
        media: type of each token (0 text, 1 image), length L, for models whose positions or attention need it
            (Qwen-VL, Gemma 3). For a prefix language model (PaliGemma) it is 0 up to the first trained token,
            since it reads this part in both directions, and 1 after that. None for other models.
        truncated: number of tokens that were cut at ``max_length``.
        media_name: name of ``media`` in the model's forward pass.
    """

    input_ids: list[int]
    labels: list[int]
    branches: list[int] | None = None
    inputs: Mapping[str, Tensor] = field(default_factory=dict)
    media: list[int] | None = None
    truncated: int = 0
    media_name: str = _MEDIA

    @property
    def position_ids(self) -> list[int]:
        """Positions of the tokens, length L; every branch restarts at the end of the trunk."""
        if self.branches is None:
            return list(range(len(self.input_ids)))
        return _branch_positions(self.branches)


@dataclass(frozen=True, slots=True)
class Measured:
    """The length that :meth:`ConversationEncoder.encode` will give a sample.

    Attributes:
        tokens: length in tokens, after cutting at ``max_length``.
        truncated: number of tokens that are cut.
    """

    tokens: int
    truncated: int = 0


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
        self._template_ids: dict[str, list[int]] = {}
        self._image_lengths: dict[tuple[tuple[int, int], bool], int] = {}
        self._agreed = 0  # number of sizes for which the processor's own count was right; -1 after an error
        # A processor that takes an answer besides the prompt reads the prompt in both directions.
        self._prefix_model = "suffix" in inspect.signature(processor.__call__).parameters
        self._prompt_end: list[int] = []

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
        name, media = self._media(row, {_MEDIA, _TYPES} & inputs.keys())
        return Encoded(
            row.ids,
            row.labels,
            row.branches if any(row.branches) else None,
            {name: value for name, value in inputs.items() if name not in (_MEDIA, _TYPES)},
            media,
            length - len(row.ids),
            name,
        )

    def _row(self, sample: Sample, style: Style, images: _Images) -> _Row:
        """The tokens of the whole conversation, before cutting."""
        row = _Row()
        prompt_end = self._prompt_end if images.tokens else []
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
        return _MEDIA, None

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
                tokens = self._image_length(sizes[number], several=len(sizes) > 1, where=where, exact=exact)
                spans.append(_Span(total, total + tokens, number))
            if piece.trained and tokens and first_trained < 0:
                total += len(self._prompt_end) if sizes else 0
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

    def _image_length(self, size: tuple[int, int], *, several: bool, where: str, exact: bool) -> int:
        """The number of tokens of an image.

        Args:
            size: width and height in pixels.
            several: whether the sample has other images too.
            where: name of the image for error messages.
            exact: see :meth:`measure`.
        """
        if (size, several) not in self._image_lengths:
            told = self._told_length(size) if _is_usual(size) and not several else None
            if told is not None and not exact and self._agreed >= _ENOUGH_SIZES:
                return told
            if size[0] * size[1] > MAX_PIXELS:
                raise DataError(
                    f"{where}: the image has {size[0] * size[1]} pixels, more than {MAX_PIXELS}",
                    hint="scale the image down, or leave this sample out",
                )
            # The number depends on the size alone, so any image of that size will do.
            pictures = [Image.new("RGB", size)] * (2 if several else 1)
            rows, _ = self._processed(pictures, where=(where,) * len(pictures))
            self._image_lengths[size, several] = len(rows[0])
            if told is not None and self._agreed >= 0:
                self._agreed = self._agreed + 1 if told == len(rows[0]) else -1
        return self._image_lengths[size, several]

    def _told_length(self, size: tuple[int, int]) -> int | None:
        """The processor's own count of an image's tokens, without processing one; None if it has none."""
        count = getattr(self.processor, "_get_num_multimodal_tokens", None)
        if count is None or self._agreed < 0:
            return None
        try:
            found: int = count(image_sizes=[(size[1], size[0])])["num_image_tokens"][0]
            return found
        except Exception:  # a processor without it, or of another version
            return None

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
        rows, batch = self._processed(ordered, where=names)
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
        rows, batch = self._processed(pictures, where=names) if pictures else ([], {})
        if rows != list(tokens):
            raise DataError(
                f"sample {sample.key!r} has more images than fit within max_length={self.max_length}, and "
                f"{type(self.processor).__name__} reads one image differently than several",
                hint="raise the stage's max_length, or leave the sample out",
            )
        return batch

    def _processed(
        self, pictures: Sequence[Image.Image], *, where: Sequence[str]
    ) -> tuple[list[list[int]], dict[str, Tensor]]:
        """Processes pictures by :meth:`_process` and names the picture that the processor refuses.

        Args:
            pictures: images of one sample.
            where: name of each picture for error messages.

        Raises:
            DataError: the processor refuses a picture.
            ModelError: the processor makes something of the whole prompt.
        """
        try:
            return self._process([*pictures])
        except (MemoryError, ModelError):
            raise
        except Exception as error:  # processors raise errors of any kind
            if len(pictures) > 1:  # find out which picture it is
                for picture, name in zip(pictures, where, strict=True):
                    self._processed([picture], where=(name,))
            width, height = pictures[0].size
            what = f"the image of {width}x{height} pixels" if len(pictures) == 1 else "these images together"
            raise DataError(
                f"{' and '.join(dict.fromkeys(where))}: the processor refuses {what} ({one_line(error)})",
                hint="cut or scale the image, or leave this sample out",
            ) from error

    def _process(self, pictures: list[Image.Image]) -> tuple[list[list[int]], dict[str, Tensor]]:
        """Makes the token ids of each image, and the image tensors of all.

        All images are processed together, with a token between them, since an image's tokens may depend on
        the number of images (LLaVA-OneVision cuts only a single one into tiles). What follows the last image
        is the end that the processor gives every prompt, whatever its text, such as PaliGemma's line break.

        Raises:
            ModelError: the processor makes something of the whole prompt.
        """
        apart = str(self.tokenizer.eos_token)
        batch: dict[str, Tensor] = dict(
            self.processor(
                text=[(self.image_token + apart) * len(pictures)],
                images=[pictures],
                add_special_tokens=False,
                return_tensors="pt",
            )
        )
        for name in _OF_THE_PROMPT:
            if name in batch:
                raise ModelError(
                    f"{type(self.processor).__name__} makes {name} of a whole prompt: the model reads images"
                    " by cross-attention, or depending on the question",
                    hint="train a model that reads images as tokens among others; this one can only caption",
                )
        rows = _split(batch.pop("input_ids")[0].tolist(), cast(int, self.tokenizer.eos_token_id))
        if len(rows) != len(pictures) + 1:
            raise ModelError(
                f"{type(self.processor).__name__} does not keep {apart!r} as one token between images",
                hint="give the tokenizer an end token (eos_token) that is a special token",
            )
        self._prompt_end = rows.pop()
        return rows, {name: value for name, value in batch.items() if name not in _NOT_OF_IMAGES}


_NOT_OF_IMAGES = ("attention_mask", "labels")


def _is_usual(size: tuple[int, int]) -> bool:
    """Whether every processor treats an image of this size in the usual way."""
    return min(size) >= 64 and max(size) <= 8 * min(size) and size[0] * size[1] <= 16_000_000


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


def _split(ids: Sequence[int], separator: int) -> list[list[int]]:
    """Splits token ids at separators."""
    rows: list[list[int]] = [[]]
    for token in ids:
        if token == separator:
            rows.append([])
        else:
            rows[-1].append(token)
    return rows


def _branch_positions(branches: Sequence[int]) -> list[int]:
    """The positions of tokens by the branch of each."""
    trunk = sum(1 for branch in branches if branch == 0)
    positions, place, current = [], 0, 0
    for branch in branches:
        if branch != current:
            current, place = branch, trunk
        positions.append(place)
        place += 1
    return positions
