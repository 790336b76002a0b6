"""The model part of a recipe."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from vila2.recipe.parts.values import Count, Part, Text, Whole

#: The types of weights that models can have.
Dtype = Literal["float32", "bfloat16", "float16"]


def _dense_or_rank(value: Any) -> Any:
    if value != "dense" and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise PydanticCustomError("dense_or_rank", "should be dense, or a rank of at least 1")
    return value


#: A visual expert as JSON schemas have it.
_EXPERT_SCHEMA = {"anyOf": [{"type": "integer", "minimum": 1}, {"const": "dense"}]}


class ModelSpec(Part):
    """What the run starts from: a vision tower and a language model, or an existing VLM."""

    vision: Text | None = Field(
        default=None,
        description="Vision tower: a hub id, a folder, or the name of a shipped one (`builtin:...`)",
        examples=["google/siglip-so400m-patch14-384"],
    )
    language: Text | None = Field(
        default=None,
        description="Causal language model: a hub id, a folder, a GGUF file, or the name of a shipped one "
        "(`builtin:...`)",
        examples=["HuggingFaceTB/SmolLM2-1.7B-Instruct"],
    )
    pretrained: Text | None = Field(
        default=None,
        description="Hub id or folder of an existing VLM; replaces `vision` and `language`",
        examples=["runs/miniature"],
    )
    gguf_file: Text | None = Field(
        default=None, description="Name of the GGUF file to take from the hub id or folder of `language`"
    )
    projector: Literal[
        "linear",
        "mlp2x_gelu",
        "mlp_downsample",
        "mlp_downsample_2x2_fix",
        "mlp_downsample_3x3_fix",
        "transformer",
    ] = Field(
        default="mlp_downsample_2x2_fix",
        description="Kind of the projector. `linear`: one layer. `mlp2x_gelu`: two layers. "
        "`mlp_downsample_2x2_fix`: joins 2x2 patches, then two layers; the tokens stand row by row, as in "
        "NVILA. `mlp_downsample`: the same column by column, as in VILA-1.5's published checkpoints. "
        "`mlp_downsample_3x3_fix`: joins 3x3 patches, then three layers. `transformer`: a Transformer block, "
        "then one layer",
    )
    vision_feature_layer: Whole = Field(
        default=-2,
        description="Layer of the vision tower whose output is used; negative numbers count from the end",
    )
    max_tiles: Count = Field(
        default=1, description="Number of tiles at most that a large image is cut into; 1: images are not cut"
    )
    s2_scales: Annotated[tuple[Count, ...], Field(min_length=1)] = Field(
        default=(1,),
        description="Resolutions whose features are joined (S2), as multiples of the tower's own",
        examples=[[1, 2, 3]],
    )
    visual_expert: (
        Annotated[int | str, BeforeValidator(_dense_or_rank), WithJsonSchema(_EXPERT_SCHEMA)] | None
    ) = Field(
        default=None,
        description="Weights that only image tokens use, beside the language model's: their rank, or "
        "`dense`; by default none",
        examples=[64, "dense"],
    )
    chat_template: Text | None = Field(
        default=None,
        description="Chat template for a language model that has none, in Jinja",
    )
    coordinates: Literal["text", "tokens"] | None = Field(
        default=None,
        description="Form of the boxes in text. `text`: numbers, as in [0.125,...]. `tokens`: location "
        "tokens. By default as the model has it, else `text`",
    )
    dtype: Dtype = Field(default="float32", description="Type of the weights")
