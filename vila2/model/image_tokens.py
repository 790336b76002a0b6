"""Turns pictures into an image's tokens and tensors, and counts the tokens without the picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from PIL import Image

from vila2.data.images import MAX_PIXELS
from vila2.errors import DataError, ModelError, one_line
from vila2.model.processing import Vila2Processor

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedTokenizerBase, ProcessorMixin

_ENOUGH_SIZES = 32  # number of image sizes after which a processor's own count is trusted
# Outputs that processors make of a whole prompt. A conversation in pieces has no whole prompt.
_OF_THE_PROMPT = (
    "cross_attention_mask",
    "image_attention_mask",
    "images_seq_mask",
    "images_emb_mask",
    "qformer_input_ids",
)
_NOT_OF_IMAGES = ("attention_mask", "labels")


class ImageTokens:
    """Turns pictures into the tokens and tensors of one processor.

    Args:
        processor: processor of any image-text-to-text model.
        image_token: token that stands for an image in the processor's texts.
    """

    def __init__(self, processor: ProcessorMixin, *, image_token: str) -> None:
        self._processor = processor
        self._tokenizer: PreTrainedTokenizerBase = processor.tokenizer
        self._image_token = image_token
        self._lengths: dict[tuple[tuple[int, int], bool], int] = {}
        self._agreed = 0  # number of sizes for which the processor's own count was right; -1 after an error
        self._prompt_end: list[int] = []

    @property
    def prompt_end(self) -> list[int]:
        """The token ids that the processor ends every prompt with; empty until an image was read."""
        return self._prompt_end

    def read(
        self, pictures: Sequence[Image.Image], *, where: Sequence[str]
    ) -> tuple[list[list[int]], dict[str, Tensor]]:
        """Makes the token ids of each picture, and the image tensors of all.

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
                    self.read([picture], where=(name,))
            width, height = pictures[0].size
            what = f"the image of {width}x{height} pixels" if len(pictures) == 1 else "these images together"
            raise DataError(
                f"{' and '.join(dict.fromkeys(where))}: the processor refuses {what} ({one_line(error)})",
                hint="cut or scale the image, or leave this sample out",
            ) from error

    def length(self, size: tuple[int, int], *, several: bool, where: str, exact: bool) -> int:
        """The number of tokens of an image.

        Args:
            size: width and height in pixels.
            several: whether the sample has other images too.
            where: name of the image for error messages.
            exact: whether an image of every size is processed; see
                :meth:`vila2.model.conversation.ConversationEncoder.measure`.

        Raises:
            DataError: the image has too many pixels, or the processor refuses it.
            ModelError: see :meth:`read`.
        """
        if (size, several) not in self._lengths:
            told = self._told_length(size) if _is_usual(size) and not several else None
            if told is not None and not exact and self._agreed >= _ENOUGH_SIZES:
                return told
            if size[0] * size[1] > MAX_PIXELS:
                raise DataError(
                    f"{where}: the image has {size[0] * size[1]} pixels, more than {MAX_PIXELS}",
                    hint="scale the image down, or leave this sample out",
                )
            if isinstance(self._processor, Vila2Processor) and self._processor.counts_by_size:
                self._lengths[size, several] = len(self._processor.image_ids(size))
                return self._lengths[size, several]
            # The number depends on the size alone, so any image of that size will do.
            pictures = [Image.new("RGB", size)] * (2 if several else 1)
            rows, _ = self.read(pictures, where=(where,) * len(pictures))
            self._lengths[size, several] = len(rows[0])
            if told is not None and self._agreed >= 0:
                self._agreed = self._agreed + 1 if told == len(rows[0]) else -1
        return self._lengths[size, several]

    def _process(self, pictures: list[Image.Image]) -> tuple[list[list[int]], dict[str, Tensor]]:
        """Makes the token ids of each image, and the image tensors of all.

        All images are processed together, with a token between them, since an image's tokens may depend on
        the number of images (LLaVA-OneVision cuts only a single one into tiles). What follows the last image
        is the end that the processor gives every prompt, whatever its text, such as PaliGemma's line break.

        Raises:
            ModelError: the processor makes something of the whole prompt.
        """
        if isinstance(self._processor, Vila2Processor):
            return self._processor.read_images(pictures)
        apart = str(self._tokenizer.eos_token)
        batch: dict[str, Tensor] = dict(
            self._processor(
                text=[(self._image_token + apart) * len(pictures)],
                images=[pictures],
                add_special_tokens=False,
                return_tensors="pt",
            )
        )
        for name in _OF_THE_PROMPT:
            if name in batch:
                raise ModelError(
                    f"{type(self._processor).__name__} makes {name} of a whole prompt: the model reads images"
                    " by cross-attention, or depending on the question",
                    hint="train a model that reads images as tokens among others; this one can only caption",
                )
        rows = _split(batch.pop("input_ids")[0].tolist(), cast(int, self._tokenizer.eos_token_id))
        if len(rows) != len(pictures) + 1:
            raise ModelError(
                f"{type(self._processor).__name__} does not keep {apart!r} as one token between images",
                hint="give the tokenizer an end token (eos_token) that is a special token",
            )
        self._prompt_end = rows.pop()
        return rows, {name: value for name, value in batch.items() if name not in _NOT_OF_IMAGES}

    def _told_length(self, size: tuple[int, int]) -> int | None:
        """The processor's own count of an image's tokens, without processing one; None if it has none."""
        count = getattr(self._processor, "_get_num_multimodal_tokens", None)
        if count is None or self._agreed < 0:
            return None
        try:
            found: int = count(image_sizes=[(size[1], size[0])])["num_image_tokens"][0]
            return found
        except Exception:  # a processor without it, or of another version
            return None


def _is_usual(size: tuple[int, int]) -> bool:
    """Whether every processor treats an image of this size in the usual way."""
    return min(size) >= 64 and max(size) <= 8 * min(size) and size[0] * size[1] <= 16_000_000


def _split(ids: Sequence[int], separator: int) -> list[list[int]]:
    """Splits token ids at separators."""
    rows: list[list[int]] = [[]]
    for token in ids:
        if token == separator:
            rows.append([])
        else:
            rows[-1].append(token)
    return rows
