"""The model part of a recipe."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from vila2.recipe.parts.values import Count, Part, Text, Whole

#: The types of weights that models can have.
Dtype = Literal["float32", "bfloat16", "float16"]


def _dense_or_rank(value: Any) -> Any:
    if value != "dense" and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise PydanticCustomError("dense_or_rank", "should be dense, or a rank of at least 1")
    return value


class ModelSpec(Part):
    """What the run starts from: a vision tower and a language model, or an existing VLM."""

    vision: Text | None = Field(default=None, description="hub id, folder or builtin: of a vision tower")
    language: Text | None = Field(
        default=None, description="hub id, folder, GGUF file or builtin: of a causal LM"
    )
    pretrained: Text | None = Field(
        default=None, description="hub id or folder of a VLM, in place of the two parts"
    )
    gguf_file: Text | None = Field(default=None, description="the GGUF file to take from `language`")
    projector: Literal[
        "linear",
        "mlp2x_gelu",
        "mlp_downsample",
        "mlp_downsample_2x2_fix",
        "mlp_downsample_3x3_fix",
        "transformer",
    ] = Field(
        default="mlp_downsample",
        description="mlp_downsample: 2x2 patches side by side, normed, two linear layers",
    )
    vision_feature_layer: Whole = Field(default=-2, description="the vision tower's layer that is looked at")
    max_tiles: Count = Field(default=1, description="tiles that a large image is cut into at most; 1: never")
    s2_scales: Annotated[tuple[Count, ...], Field(min_length=1)] = Field(
        default=(1,), description="S2: resolutions whose features are joined, as in [1, 2, 3]"
    )
    visual_expert: Annotated[int | str, BeforeValidator(_dense_or_rank)] | None = Field(
        default=None, description="weights that only image tokens use: their rank, or dense"
    )
    chat_template: Text | None = Field(
        default=None, description="name or text, where the language model has none"
    )
    coordinates: Literal["text", "tokens"] | None = Field(
        default=None,
        description="how boxes are written: [0.125,...] or location tokens; by default as the model has it, else text",
    )
    dtype: Dtype = Field(default="float32", description="of the weights")
