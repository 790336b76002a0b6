"""Conversations to tokens: what the model reads, and which of it the loss counts.

Label masks come from structure, never from searching text: a conversation is first taken apart into pieces
(:mod:`vila2.model.pieces`), each of which is known to be template, utterance or image, and whose. The text of
an utterance is tokenised with special tokens switched off: a caption that contains ``<image>``, an end-of-turn
marker or ``<loc_005>`` stays plain text.
"""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from PIL import Image

from vila2.data.images import MAX_PIXELS, decode_image, image_size
from vila2.data.sample import ImagePart, Sample
from vila2.errors import DataError, ModelError, one_line
from vila2.model.coordinate_scheme import scheme_of
from vila2.model.pieces import Piece, PieceMaker, Style
from vila2.model.special_tokens import text_tokenizer

IGNORED = -100  # the label that the loss leaves out
_MEDIA = "mm_token_type_ids"  # what processors call it
_ENOUGH_SIZES = 32  # of images at which a processor's own count must have been right
_TYPES = "token_type_ids"  # the same in Gemma3; PaliGemma's name for what is read in both directions
# What processors make of a whole prompt, which a conversation taken apart into pieces is not.
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
        labels: the same, with ``IGNORED`` where the loss does not look, length L.
        branches: 0 for the trunk, k for branch k, length L; None for a conversation without branches.
        inputs: the processor's image tensors (``pixel_values`` ...), empty for text-only samples.
        media: what each token stands for (0 text, 1 image), length L, for models whose positions or attention
            need it (Qwen-VL, Gemma3); in a prefix language model (PaliGemma) 0 up to the first trained token, which
            is read in both directions, and 1 from there on. None for the others.
        media_name: what the model calls it.
        truncated: tokens that were cut at ``max_length``.
    """

    input_ids: list[int]
    labels: list[int]
    branches: list[int] | None = None
    inputs: Mapping[str, Any] = field(default_factory=dict)
    media: list[int] | None = None
    truncated: int = 0
    media_name: str = _MEDIA

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
                hint="use a processor of an image-text-to-text model",
            )
        self.coordinates = scheme_of(processor)
        self._maker = PieceMaker(processor, image_token=self.image_token, coordinates=self.coordinates)
        self._text_tokenizer = text_tokenizer(self.tokenizer)
        self._template_ids: dict[str, list[int]] = {}
        self._image_lengths: dict[tuple[tuple[int, int], bool], int] = {}
        self._agreed = 0  # sizes at which the processor's own count was right; below 0: once it was not
        # A processor that takes an answer beside the prompt reads the prompt in both directions.
        self._prefix_model = "suffix" in inspect.signature(processor.__call__).parameters
        self._prompt_end: list[int] = []

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
        check_style(self.processor, style)
        images, sizes, inputs = self._image_tokens(sample)
        prompt_end = self._prompt_end if images else []
        ids: list[int] = []
        labels: list[int] = []
        branches: list[int] = []
        spans: list[tuple[int, int, int]] = []  # of each image: first token, end, index
        pieces = self._pieces(sample, style, sizes)
        for piece, text_ids in zip(pieces, self._ids(pieces), strict=True):
            tokens = images[int(piece.text)] if piece.kind == "image" else text_ids
            if piece.kind == "image":
                spans.append((len(ids), len(ids) + len(tokens), int(piece.text)))
            if piece.trained and prompt_end:
                ids, labels = ids + prompt_end, labels + [IGNORED] * len(prompt_end)
                branches, prompt_end = branches + [0] * len(prompt_end), []
            ids += tokens
            labels += tokens if piece.trained else [IGNORED] * len(tokens)
            branches += [piece.branch] * len(tokens)
        cut = len(ids) - self._end(len(ids), spans)
        if cut:
            ids, labels, branches = ids[:-cut], labels[:-cut], branches[:-cut]
            kept = [index for _, stop, index in spans if stop <= len(ids)]
            if len(kept) < len(spans):
                inputs = self._image_inputs(sample, kept, [images[index] for index in kept])
        if all(label == IGNORED for label in labels):
            raise self._nothing_left(sample)
        name, media = self._media(ids, labels, {_MEDIA, _TYPES} & inputs.keys())
        inputs = {name: value for name, value in inputs.items() if name not in (_MEDIA, _TYPES)}
        return Encoded(ids, labels, branches if any(branches) else None, inputs, media, cut, name)

    def _media(
        self, ids: list[int], labels: list[int], names: Collection[str]
    ) -> tuple[str, list[int] | None]:
        """The name of what tells the model about tokens, and that; see :class:`Encoded`."""
        if self._prefix_model:
            first = next(place for place, label in enumerate(labels) if label != IGNORED)
            return _TYPES, [0] * first + [1] * (len(ids) - first)
        for name in names:
            return name, list(self.processor.create_mm_token_type_ids([ids])[0])
        return _MEDIA, None

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
        check_style(self.processor, style)
        _images_used(sample)
        sizes = [image_size(data, where=f"{sample.key}[{n}]") for n, data in enumerate(sample.images)]
        total, first_trained, spans = 0, -1, []
        pieces = self._pieces(sample, style, sizes)
        for piece, ids in zip(pieces, self._ids(pieces), strict=True):
            tokens = len(ids)
            if piece.kind == "image":
                number = int(piece.text)
                where = f"{sample.key}[{number}]"
                tokens = self._image_length(sizes[number], several=len(sizes) > 1, where=where, exact=exact)
                spans.append((total, total + tokens, number))
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
        """Tokens of an image of a width and height in pixels, by itself or beside others."""
        if (size, several) not in self._image_lengths:
            told = self._told_length(size) if _is_usual(size) and not several else None
            if told is not None and not exact and self._agreed >= _ENOUGH_SIZES:
                return told
            if size[0] * size[1] > MAX_PIXELS:
                raise DataError(
                    f"{where}: the image has {size[0] * size[1]} pixels, more than {MAX_PIXELS}",
                    hint="scale the image down, or leave this sample out",
                )
            # It depends on that alone, so that any image of that size tells.
            pictures = [Image.new("RGB", size)] * (2 if several else 1)
            rows, _ = self._processed(pictures, where=(where,) * len(pictures))
            self._image_lengths[size, several] = len(rows[0])
            if told is not None and self._agreed >= 0:
                self._agreed = self._agreed + 1 if told == len(rows[0]) else -1
        return self._image_lengths[size, several]

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

    def _pieces(self, sample: Sample, style: Style, sizes: Sequence[tuple[int, int]]) -> list[Piece]:
        pieces = [*self._maker.pieces(sample, style, sizes)]
        if self._prefix_model and sizes:
            # The processor ends a prompt by itself: the line break before an answer would come twice.
            for number, piece in enumerate(pieces):
                if piece.trained:
                    pieces[number] = replace(piece, text=piece.text.removeprefix("\n"))
                    break
        return pieces

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
        rows, batch = self._processed(ordered, where=names)
        tokens: list[list[int]] = [[] for _ in used]
        for row, index in zip(rows, used, strict=True):
            tokens[index] = row
        return tokens, [picture.size for picture in pictures], batch

    def _image_inputs(
        self, sample: Sample, kept: Sequence[int], tokens: Sequence[list[int]]
    ) -> dict[str, Any]:
        """The image tensors of some of the sample's images, in the order given.

        Raises:
            DataError: without the others these images are read as other tokens.
        """
        pictures = [decode_image(sample.images[n], where=f"{sample.key}[{n}]") for n in kept]
        names = [f"{sample.key}[{n}]" for n in kept]
        rows, batch = self._processed(pictures, where=names) if pictures else ([], {})
        if rows != list(tokens):
            raise DataError(
                f"sample {sample.key!r} has more images than fit within max_length={self.max_length}, and "
                f"{type(self.processor).__name__} reads one image otherwise than several",
                hint="raise the stage's max_length, or leave the sample out",
            )
        return batch

    def _processed(
        self, pictures: Sequence[Image.Image], *, where: Sequence[str]
    ) -> tuple[list[list[int]], dict[str, Any]]:
        """What the processor makes of pictures, as :meth:`_process` gives it.

        Raises:
            DataError: it refuses one of them; ``where`` names each.
            ModelError: it makes something of the whole prompt.
        """
        try:
            return self._process([*pictures])
        except (MemoryError, ModelError):
            raise
        except Exception as error:  # processors raise nearly anything
            if len(pictures) > 1:  # whose fault is it?
                for picture, name in zip(pictures, where, strict=True):
                    self._processed([picture], where=(name,))
            width, height = pictures[0].size
            what = f"the image of {width}x{height} pixels" if len(pictures) == 1 else "these images together"
            raise DataError(
                f"{' and '.join(dict.fromkeys(where))}: the processor refuses {what} ({one_line(error)})",
                hint="cut or scale the image, or leave this sample out",
            ) from error

    def _process(self, pictures: list[Image.Image]) -> tuple[list[list[int]], dict[str, Any]]:
        """The tokens of each image, and the image tensors of all.

        An image's tokens may depend on how many there are (LLaVA-OneVision shows tiles of a single one only), so all
        are processed together, with a token between them. What stands behind the last is the end that the processor
        gives to every prompt, whatever its text (PaliGemma's line break).

        Raises:
            ModelError: the processor makes something of the whole prompt.
        """
        apart = self.tokenizer.eos_token
        batch = dict(
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
                    f"{type(self.processor).__name__} makes {name} of a whole prompt: the model reads images by "
                    "cross-attention, or in the light of the question",
                    hint="train a model that reads images as tokens among others; this one can caption",
                )
        rows = _split(batch.pop("input_ids")[0].tolist(), self.tokenizer.eos_token_id)
        if len(rows) != len(pictures) + 1:
            raise ModelError(
                f"{type(self.processor).__name__} does not keep {apart!r} as one token beside images",
                hint="give the tokenizer an end token (eos_token) that is a special token",
            )
        self._prompt_end = rows.pop()
        return rows, {name: value for name, value in batch.items() if name not in _NOT_OF_IMAGES}


_NOT_OF_IMAGES = ("attention_mask", "labels")


def _is_usual(size: tuple[int, int]) -> bool:
    """Whether an image has a shape at which no processor does anything unusual."""
    return min(size) >= 64 and max(size) <= 8 * min(size) and size[0] * size[1] <= 16_000_000


def _check_trained(sample: Sample) -> None:
    if not any(turn.trained for turn in sample.turns):
        raise DataError(f"sample {sample.key!r} has no turn to train on", hint="give it an assistant turn")


def _images_used(sample: Sample) -> list[int]:
    """The numbers of the sample's images in the order in which its turns place them.

    Raises:
        DataError: one is placed not at all, twice, or not there.
    """
    used = [part.index for turn in sample.turns for part in turn.parts if isinstance(part, ImagePart)]
    if sorted(set(used)) != list(range(len(sample.images))) or len(used) != len(set(used)):
        raise DataError(
            f"sample {sample.key!r} has {len(sample.images)} images but its turns place images {used}",
            hint="place every image exactly once",
        )
    return used


def check_style(processor: Any, style: Style) -> None:
    """Whether a processor can write conversations in a style.

    Raises:
        ModelError: chat, and it has no chat template.
    """
    if style == "chat" and not has_chat_template(processor):
        raise ModelError(
            f"{type(processor).__name__} has no chat template, which style: chat writes conversations with",
            hint="style: plain in the stage, or put a chat_template.jinja into the model's folder",
        )


def has_chat_template(processor: Any) -> bool:
    """Whether a processor, or its tokenizer, has a chat template."""
    return bool(getattr(processor, "chat_template", None) or processor.tokenizer.chat_template)


def _split(ids: Sequence[int], separator: int) -> list[list[int]]:
    """Runs of ids between separators."""
    rows: list[list[int]] = [[]]
    for token in ids:
        if token == separator:
            rows.append([])
        else:
            rows[-1].append(token)
    return rows


def _branch_positions(branches: Sequence[int]) -> list[int]:
    trunk = sum(1 for branch in branches if branch == 0)
    positions, place, current = [], 0, 0
    for branch in branches:
        if branch != current:
            current, place = branch, trunk
        positions.append(place)
        place += 1
    return positions
