"""The processor turns images into pixels, placeholders into image tokens, and messages into text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from PIL import Image
from transformers import AutoProcessor, BatchFeature, PreTrainedTokenizerBase, ProcessorMixin
from transformers.image_transforms import to_pil_image
from transformers.image_utils import make_flat_list_of_images

from vila2.errors import ModelError
from vila2.model.configuration import Vila2Config, pair
from vila2.model.pixels import Preparation
from vila2.model.tiling import Grid, Tiling

if TYPE_CHECKING:
    from torch import Tensor

IMAGE_TOKEN = "<image>"
PAD_TOKEN = "<pad>"

# For a tokenizer without a chat template. Roles are words; each assistant turn ends with the end token.
PLAIN_TEMPLATE = (
    "{% for message in messages %}{% if message['role'] == 'assistant' %}"
    "{{ 'Assistant: ' + message['content'] + eos_token + '\\n' }}"
    "{% else %}{{ message['role'].capitalize() + ': ' + message['content'] + '\\n' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"
)

# Goes before a template that joins strings: turns the parts of each message into one string, images in place.
_PARTS_TO_STRINGS = (
    "{%- set flat = namespace(messages=[]) -%}{%- for message in messages -%}"
    "{%- set content = namespace(text='') -%}{%- if message['content'] is string -%}"
    "{%- set content.text = message['content'] -%}{%- else -%}{%- for part in message['content'] -%}"
    "{%- set content.text = content.text + ('IMAGE' if part['type'] == 'image' else part['text']) -%}"
    "{%- endfor -%}{%- endif -%}"
    "{%- set flat.messages = flat.messages + [dict(message, content=content.text)] -%}{%- endfor -%}"
    "{%- set messages = flat.messages -%}"
)


class Vila2Processor(ProcessorMixin):
    """Joins the image processor and the tokenizer of one model.

    Args:
        image_processor: image processor that gives every image the same size, ``image_size``.
        tokenizer: tokenizer that has ``image_token`` as a special token.
        chat_template: template for messages whose content is a string or a list of parts.
        patch_size: patch size of the vision tower in pixels.
        projector: name of the model's projector; with the patch size it determines the tokens per image.
        image_token: placeholder of one image in a text, and of one image token in the token ids.
        image_size: height and width in pixels that the image processor gives to an image or a tile; None
            tries it out.
        max_tiles: largest number of tiles per image; see :class:`vila2.model.tiling.Tiling`.
        s2_scales: resolutions at which an image is shown; see :class:`vila2.model.tiling.Tiling`.
        image_end: text after the tokens of every image, or of every tile if tiles are projected separately.
    """

    def __init__(
        self,
        image_processor: Any = None,
        tokenizer: Any = None,
        chat_template: str | None = None,
        patch_size: int | list[int] = 14,
        projector: str = "mlp_downsample_2x2_fix",
        image_token: str = IMAGE_TOKEN,
        image_size: int | list[int] | tuple[int, ...] | None = None,
        max_tiles: int = 1,
        s2_scales: Sequence[int] = (1,),
        image_end: str = "",
    ) -> None:
        self.patch_size = patch_size
        self.projector = projector
        self.image_token = image_token
        self.image_token_id = tokenizer.convert_tokens_to_ids(image_token)
        self.image_size = list(pair(image_size) if image_size else output_size(image_processor))
        self.max_tiles = max_tiles
        self.s2_scales = list(s2_scales)
        self.image_end = image_end
        # Not by super(): transformers leaves __init__ without types.
        ProcessorMixin.__init__(self, image_processor, tokenizer, chat_template=chat_template)

    @property
    def tiling(self) -> Tiling:
        """How images become tiles and tokens; equal to the model's."""
        sizes = pair(self.image_size), pair(self.patch_size)
        return Tiling(self.projector, *sizes, self.max_tiles, tuple(self.s2_scales))

    def _process_images(self, images: Any, **kwargs: Any) -> tuple[dict[str, Any], list[str]]:
        """Makes pixels [tiles of all images, 3, height, width], and the text in place of each placeholder."""
        tiling = self.tiling
        given = cast(Sequence[Any], make_flat_list_of_images(images))
        grids = [(1, 1)] * len(given)
        if tiling.cuts:
            given = [to_pil_image(picture) for picture in given]
            grids = [tiling.grid(picture.height, picture.width) for picture in given]
        inputs = self._fast_inputs(given, grids, kwargs)
        if inputs is None:
            if tiling.cuts:
                resample = self.image_processor.resample
                tiles = zip(given, grids, strict=True)
                images = [tile for picture, grid in tiles for tile in tiling.cut(picture, grid, resample)]
                kwargs |= {"do_resize": False, "do_center_crop": False}  # tiles have this size already
            inputs = cast(dict[str, Any], self.image_processor(images, **kwargs))
        made = tuple(inputs["pixel_values"][0].shape[-2:])
        if made != tiling.image_size:
            raise ModelError(
                f"the image processor makes images of {made} pixels,"
                f" but the processor expects {tiling.image_size}",
                hint="change the size with vila2.model.resolution.set_image_size, or reload the processor",
            )
        inputs["image_grids"] = [list(grid) for grid in grids]
        replaced = [self.replace_image_token(inputs, number) for number in range(len(grids))]
        if not tiling.dynamic_scales:  # otherwise the model knows the grids
            inputs.pop("image_grids")
        return inputs, replaced

    def _fast_inputs(
        self, images: Sequence[Any], grids: Sequence[Grid], settings: dict[str, Any]
    ) -> dict[str, Any] | None:
        """Makes the pixels without the image processor; None where it is needed."""
        asked = {name: value for name, value in settings.items() if value is not None}
        plain = all(isinstance(image, Image.Image) and image.mode == "RGB" for image in images)
        preparation = Preparation.of(self.image_processor) if plain else None
        tiling = self.tiling
        if (
            preparation is None
            or asked != {"return_tensors": "pt"}
            or not (tiling.cuts or preparation.size == tiling.image_size)
        ):
            return None
        return {"pixel_values": preparation.pixels(images, grids, tiling)}

    def read_images(self, images: Sequence[Image.Image]) -> tuple[list[list[int]], dict[str, Tensor]]:
        """Makes the token ids of each image and the tensors of all, as a call does, but without a text."""
        inputs, _ = self._process_images([*images], return_tensors="pt")
        tensors: dict[str, Tensor] = dict(BatchFeature(dict(inputs), tensor_type="pt"))
        return [self.image_ids(image.size) for image in images], tensors

    def image_ids(self, size: tuple[int, int]) -> list[int]:
        """The token ids that stand for an image of this width and height."""
        tiling = self.tiling
        grid = tiling.grid(size[1], size[0])
        apart = 1 if tiling.multiscale else tiling.tiles(grid)
        end: list[int] = []
        if self.image_end:  # its ids are those that it has behind an image
            end = self.tokenizer(self.image_token + self.image_end, add_special_tokens=False)["input_ids"][1:]
        ids: list[int] = ([self.image_token_id] * (tiling.tokens(grid) // apart) + end) * apart
        return ids

    @property
    def counts_by_size(self) -> bool:
        """Whether an image's size alone tells its tokens, and that it can be read."""
        return Preparation.of(self.image_processor) is not None

    def replace_image_token(self, image_inputs: dict[str, Any], image_idx: int, **kwargs: Any) -> str:
        """The text that replaces the placeholder of image number ``image_idx``."""
        tiling = self.tiling
        rows, columns = image_inputs["image_grids"][image_idx]
        grid = rows, columns
        apart = 1 if tiling.multiscale else tiling.tiles(grid)
        return (self.image_token * (tiling.tokens(grid) // apart) + self.image_end) * apart

    def save_pretrained(self, save_directory: str | Path, push_to_hub: bool = False, **kwargs: Any) -> Any:
        """Saves the processor; equal processors give equal files."""
        backend = getattr(self.tokenizer, "backend_tokenizer", None)
        if backend is not None:  # it keeps the padding of its last call, and would save it
            backend.no_padding()
            backend.no_truncation()
        return super().save_pretrained(save_directory, push_to_hub, **kwargs)


def output_size(image_processor: Any) -> tuple[int, int]:
    """Finds the height and width that an image processor gives to every image, by trying two shapes.

    Raises:
        ModelError: it gives images of different sizes.
    """
    tried = (Image.new("RGB", shape) for shape in ((64, 48), (40, 90)))
    sizes = {
        tuple(image_processor(images=[image], return_tensors="pt")["pixel_values"].shape[-2:])
        for image in tried
    }
    if len(sizes) > 1:
        raise ModelError(
            f"the image processor ({type(image_processor).__name__}) makes images of different sizes"
            f" {sorted(sizes)}",
            hint="set its size to a fixed height and width, or do_center_crop, in preprocessor_config.json",
        )
    return sizes.pop()


def prepare_tokenizer(tokenizer: PreTrainedTokenizerBase, image_token: str = IMAGE_TOKEN) -> None:
    """Prepares a language model's tokenizer for the family, in place.

    The image token becomes special. The tokenizer gets a padding token if it has none, or if its padding
    token is the end token too, which would then be ignored by the loss or end a generation. Padding goes to
    the left, as generation needs it.
    """
    special: dict[str, Any] = {}
    if tokenizer.pad_token is None or tokenizer.pad_token_id == tokenizer.eos_token_id:
        special["pad_token"] = PAD_TOKEN
    tokenizer.add_special_tokens(
        special | {"additional_special_tokens": [image_token]}, replace_extra_special_tokens=False
    )
    tokenizer.padding_side = tokenizer.init_kwargs["padding_side"] = "left"  # the second is what is saved


def template_with_parts(
    template: str | None, tokenizer: PreTrainedTokenizerBase, image_token: str = IMAGE_TOKEN
) -> str:
    """Makes a chat template that takes text and image parts.

    Args:
        template: template of the language model; None for the plain default.
        tokenizer: tokenizer that renders the template.
        image_token: placeholder of an image.

    Returns:
        The template itself if it already puts images in place, otherwise the same template after a
        preamble that turns the parts of every message into one string.
    """
    template = template or PLAIN_TEMPLATE
    return (
        template
        if _takes_parts(template, tokenizer, image_token)
        else (_PARTS_TO_STRINGS.replace("IMAGE", image_token) + template)
    )


def _takes_parts(template: str, tokenizer: PreTrainedTokenizerBase, image_token: str) -> bool:
    """Whether the template renders parts as it renders the equal string."""
    from jinja2 import TemplateError

    parts = [{"type": "image"}, {"type": "text", "text": "What is it?"}]
    render: Any = tokenizer.apply_chat_template  # its type knows no lists of parts
    try:
        given = render([{"role": "user", "content": parts}], chat_template=template, tokenize=False)
    except (TemplateError, TypeError):  # for example it joins a string and a list
        return False
    text = f"{image_token}What is it?"
    return bool(given == render([{"role": "user", "content": text}], chat_template=template, tokenize=False))


def end_tokens(processor: ProcessorMixin) -> list[int]:
    """The ids of the tokens that end an answer: the end token, and what the template puts after an answer."""
    tokenizer = processor.tokenizer
    said = "\ue000"
    messages: Any = [  # the type of apply_chat_template knows no lists of parts
        {"role": "user", "content": [{"type": "text", "text": "What?"}]},
        {"role": "assistant", "content": [{"type": "text", "text": said}]},
    ]
    behind = processor.apply_chat_template(messages, tokenize=False).rpartition(said)[2]
    ends = [tokenizer.eos_token_id] if tokenizer.eos_token_id is not None else []
    first = _first_special(behind, tokenizer.all_special_tokens)
    if first is not None:
        ends.append(tokenizer.convert_tokens_to_ids(first))
    return sorted(set(ends))


def _first_special(text: str, special: Sequence[str]) -> str | None:
    """The special token that a text begins with, after any white space."""
    longest_first = sorted(special, key=len, reverse=True)
    match = (
        re.match(r"\s*(" + "|".join(re.escape(token) for token in longest_first) + ")", text)
        if special
        else None
    )
    return match.group(1) if match else None


AutoProcessor.register(Vila2Config, Vila2Processor)
