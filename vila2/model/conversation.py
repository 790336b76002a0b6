"""Conversations to tokens: what the model reads, and which of it the loss counts.

Label masks come from structure, never from searching text: a conversation is first taken apart into pieces
(:mod:`vila2.model.pieces`), each of which is known to be template, utterance or image, and whose. The text of
an utterance is tokenised with special tokens switched off: a caption that contains ``<image>``, an end-of-turn
marker or ``<loc_005>`` stays plain text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from vila2.data.images import MAX_PIXELS, decode_image, image_size
from vila2.data.sample import ImagePart, Sample
from vila2.errors import DataError, ModelError, one_line
from vila2.model.coordinates import scheme_of
from vila2.model.pieces import Piece, PieceMaker, Style
from vila2.model.special_tokens import text_tokenizer

IGNORED = -100  # the label that the loss leaves out
_MEDIA = "mm_token_type_ids"  # what processors call it
_ENOUGH_SIZES = 32  # of images at which a processor's own count must have been right


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
class Measured:
    """What :meth:`ConversationEncoder.encode` will give of a sample, told without decoding an image.

    Attributes:
        tokens: length, after cutting at ``max_length``.
        truncated: tokens that are cut.
    """

    tokens: int
    truncated: int = 0


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
        self._maker = PieceMaker(processor, image_token=self.image_token, coordinates=self.coordinates)
        self._text_tokenizer = text_tokenizer(self.tokenizer)
        self._template_ids: dict[str, list[int]] = {}
        self._image_lengths: dict[tuple[int, int], int] = {}
        self._agreed = 0  # sizes at which the processor's own count was right; below 0: once it was not

    def encode(self, sample: Sample, style: Style = "chat") -> Encoded:
        """Encodes one sample.

        Args:
            sample: its ``ImagePart`` indices must fit its images.
            style: "chat" uses the model's chat template; "plain" is the format of the first two
                stages (VILA section 2.3): image, text, end of sequence. Of a dialogue every answer
                that a question follows ends so as well.

        Raises:
            DataError: no turn is trained, an image is missing, can not be decoded or is refused by the processor,
                the chat template refuses the conversation, or nothing trained is left after cutting.
            ModelError: the chat template drops or reorders parts of the conversation.
        """
        _check_trained(sample)
        images, sizes, inputs = self._image_tokens(sample)
        ids: list[int] = []
        labels: list[int] = []
        branches: list[int] = []
        spans: list[tuple[int, int, int]] = []  # of each image: first token, end, index
        pieces = [*self._maker.pieces(sample, style, sizes)]
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
            raise self._nothing_left(sample)
        media = inputs.pop(_MEDIA, None)
        if media is not None:
            media = list(self.processor.create_mm_token_type_ids([ids])[0])
        return Encoded(ids, labels, branches if any(branches) else None, inputs, media, cut)

    def length(self, sample: Sample, style: Style = "chat") -> int:
        """How many tokens :meth:`encode` will give, without decoding an image; see :meth:`measure`."""
        return self.measure(sample, style).tokens

    def measure(self, sample: Sample, style: Style = "chat", *, exact: bool = True) -> Measured:
        """How long a sample will be, and whether it can be trained on at all, without decoding an image.

        Args:
            sample, style: see :meth:`encode`.
            exact: False takes the processor's own count of an image's tokens, once it was right often enough, in
                place of processing an image of every size there is; images of odd shape are always processed.

        Raises:
            DataError, ModelError: as :meth:`encode` does, but for an image whose head alone is sound.
        """
        _check_trained(sample)
        _images_used(sample)
        sizes = [image_size(data, where=f"{sample.key}[{n}]") for n, data in enumerate(sample.images)]
        total, first_trained, spans = 0, -1, []
        pieces = [*self._maker.pieces(sample, style, sizes)]
        for piece, ids in zip(pieces, self._ids(pieces), strict=True):
            tokens = len(ids)
            if piece.kind == "image":
                number = int(piece.text)
                tokens = self._image_length(sizes[number], where=f"{sample.key}[{number}]", exact=exact)
                spans.append((total, total + tokens, number))
            if piece.trained and tokens and first_trained < 0:
                first_trained = total
            total += tokens
        end = self._end(total, spans)
        if not 0 <= first_trained < end:
            raise self._nothing_left(sample)
        return Measured(end, total - end)

    def _nothing_left(self, sample: Sample) -> DataError:
        return DataError(
            f"sample {sample.key!r}: nothing to train on is left within max_length={self.max_length}",
            mend="raise the stage's max_length, or shorten the sample's prompts",
        )

    def _image_length(self, size: tuple[int, int], *, where: str, exact: bool) -> int:
        """Tokens of an image of a width and height in pixels."""
        if size not in self._image_lengths:
            told = self._told_length(size) if _is_usual(size) else None
            if told is not None and not exact and self._agreed >= _ENOUGH_SIZES:
                return told
            if size[0] * size[1] > MAX_PIXELS:
                raise DataError(
                    f"{where}: the image has {size[0] * size[1]} pixels, more than {MAX_PIXELS}",
                    mend="scale the image down, or leave this sample out",
                )
            # It depends on the size alone, so that any image of that size tells.
            row = self._processed([Image.new("RGB", size)], where=(where,))["input_ids"][0]
            self._image_lengths[size] = len(row)
            if told is not None and self._agreed >= 0:
                self._agreed = self._agreed + 1 if told == len(row) else -1
        return self._image_lengths[size]

    def _told_length(self, size: tuple[int, int]) -> int | None:
        """What the processor itself says of an image's length, without processing one; None where it does not."""
        count = getattr(self.processor, "_get_num_multimodal_tokens", None)
        if count is None or self._agreed < 0:
            return None
        try:
            found: int = count(image_sizes=[(size[1], size[0])])["num_image_tokens"][0]
            return found
        except Exception:  # a processor without, or of another version
            return None

    def _end(self, length: int, images: Sequence[tuple[int, int, int]]) -> int:
        """How many tokens fit; an image that would be cut in two is left out, and what follows it.

        Args:
            length: tokens of the whole conversation.
            images: first token, end and index of each image.
        """
        if length <= self.max_length:
            return length
        return min(self.max_length, *(start for start, stop, _ in images if stop > self.max_length), length)

    def _ids(self, pieces: Sequence[Piece]) -> Iterator[list[int]]:
        """The token ids of every piece; none of images."""
        texts = [piece.text for piece in pieces if piece.kind == "text"]
        # All at once: a call to the tokenizer costs many times what a question has to be tokenised.
        encode = self._text_tokenizer
        said = iter(
            encode(texts, add_special_tokens=False, split_special_tokens=True)["input_ids"] if texts else ()
        )
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
        used = _images_used(sample)
        if not used:
            return [], [], {}
        pictures = [decode_image(data, where=f"{sample.key}[{n}]") for n, data in enumerate(sample.images)]
        # The processor wants images in the order of their placeholders.
        ordered = [pictures[index] for index in used]
        names = [f"{sample.key}[{index}]" for index in used]
        batch = self._processed(ordered, where=names)
        rows = [batch.pop("input_ids")[0].tolist()] if len(ordered) == 1 else None
        if rows is None:
            batch.pop("input_ids")
            rows = [
                self._processed([picture], where=(name,))["input_ids"][0].tolist()
                for picture, name in zip(ordered, names, strict=True)
            ]
        tokens: list[list[int]] = [[] for _ in used]
        for row, index in zip(rows, used, strict=True):
            tokens[index] = row
        return tokens, [picture.size for picture in pictures], batch

    def _image_inputs(self, sample: Sample, kept: Sequence[int]) -> dict[str, Any]:
        """The image tensors of some of the sample's images, in the order given."""
        pictures = [decode_image(sample.images[n], where=f"{sample.key}[{n}]") for n in kept]
        names = [f"{sample.key}[{n}]" for n in kept]
        batch = self._processed(pictures, where=names) if pictures else {}
        batch.pop("input_ids", None)
        return batch

    def _processed(self, pictures: Sequence[Image.Image], *, where: Sequence[str]) -> dict[str, Any]:
        """What the processor makes of pictures.

        Raises:
            DataError: it refuses one of them; ``where`` names each.
        """
        try:
            return self._process([*pictures])
        except MemoryError:
            raise
        except Exception as error:  # processors raise nearly anything
            if len(pictures) > 1:  # whose fault is it?
                for picture, name in zip(pictures, where, strict=True):
                    self._processed([picture], where=(name,))
            width, height = pictures[0].size
            what = f"the image of {width}x{height} pixels" if len(pictures) == 1 else "these images together"
            raise DataError(
                f"{' and '.join(where)}: the processor refuses {what} ({one_line(error)})",
                mend="cut or scale the image, or leave this sample out",
            ) from error

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


def _is_usual(size: tuple[int, int]) -> bool:
    """Whether an image has a shape at which no processor does anything unusual."""
    return min(size) >= 64 and max(size) <= 8 * min(size) and size[0] * size[1] <= 16_000_000


def _check_trained(sample: Sample) -> None:
    if not any(turn.trained for turn in sample.turns):
        raise DataError(f"sample {sample.key!r} has no turn to train on", mend="give it an assistant turn")


def _images_used(sample: Sample) -> list[int]:
    """The numbers of the sample's images in the order in which its turns place them.

    Raises:
        DataError: one is placed not at all, twice, or not there.
    """
    used = [part.index for turn in sample.turns for part in turn.parts if isinstance(part, ImagePart)]
    if sorted(set(used)) != list(range(len(sample.images))) or len(used) != len(set(used)):
        raise DataError(
            f"sample {sample.key!r} has {len(sample.images)} images but its turns place images {used}",
            mend="place every image exactly once",
        )
    return used


def _branch_positions(branches: Sequence[int]) -> list[int]:
    trunk = sum(1 for branch in branches if branch == 0)
    positions, place, current = [], 0, 0
    for branch in branches:
        if branch != current:
            current, place = branch, trunk
        positions.append(place)
        place += 1
    return positions
