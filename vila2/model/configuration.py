"""The family's configuration: a vision tower, a projector, a causal language model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from huggingface_hub.dataclasses import strict
from transformers import AutoConfig, PreTrainedConfig
from transformers.configuration_utils import SubConfigSpec

if TYPE_CHECKING:
    from vila2.model.tiling import Tiling


@strict
class Vila2Config(PreTrainedConfig):
    """What a model of the family is made of.

    Attributes:
        vision_config: configuration of any vision tower that has ``image_size`` and ``patch_size``.
        text_config: configuration of any causal language model.
        projector: name in :data:`vila2.model.projectors.PROJECTORS`.
        vision_feature_layer: which of the tower's hidden states the projector reads: 0 is the embedding,
            -2 the output of the last layer but one (VILA), -1 the tower's own output, behind its last norm.
        image_size: height and width in pixels of the images that the processor makes, or of their tiles; the
            tower's own size where it is None.
        max_tiles: at most so many tiles of one image; see :class:`vila2.model.tiling.Tiling`.
        s2_scales: resolutions that an image is shown at; see :class:`vila2.model.tiling.Tiling`.
        visual_expert: weights that only image tokens use: "dense", their rank, or None for no such weights.
        image_token_id: the token that stands in the text for one projected image token.
        head_bias: whether the language model's output layer has a bias.
        token_groups: numbered tokens that were added, and how their loss counts; see
            :mod:`vila2.model.special_tokens`.
    """

    model_type = "vila2"
    sub_configs_defaults = {  # noqa: RUF012 - transformers' own declaration
        "vision_config": SubConfigSpec(config_class=AutoConfig, model_type="siglip_vision_model"),
        "text_config": SubConfigSpec(config_class=AutoConfig, model_type="qwen2"),
    }

    vision_config: dict | PreTrainedConfig | None = None
    text_config: dict | PreTrainedConfig | None = None
    projector: str = "mlp_downsample"
    vision_feature_layer: int = -2
    image_size: list[int] | tuple[int, ...] | None = None
    max_tiles: int = 1
    s2_scales: list[int] | tuple[int, ...] = (1,)
    visual_expert: int | str | None = None
    image_token_id: int | None = None
    head_bias: bool = False
    tie_word_embeddings: bool = False
    token_groups: list[dict] | None = None

    def __post_init__(self, **kwargs: Any) -> None:
        if isinstance(self.vision_config, dict) and self.vision_config.get("model_type", "").startswith(
            "vila2_"
        ):
            # A tower of ours registers itself on import; it needs torch, so no sooner than it is asked for.
            import vila2.model.miniature  # noqa: F401
        super().__post_init__(**kwargs)
        if self.text_config.tie_word_embeddings:
            self.tie_word_embeddings = True

    @property
    def tiling(self) -> Tiling:
        """How images become tiles and tokens.

        Raises:
            ModelError: settings that do not go together.
        """
        from vila2.model.tiling import Tiling  # needs torch

        return Tiling(
            self.projector,
            pair(self.image_size or self.vision_config.image_size),
            pair(self.vision_config.patch_size),
            self.max_tiles,
            tuple(self.s2_scales),
        )


def pair(size: int | list[int] | tuple[int, ...]) -> tuple[int, int]:
    """Height and width from a number or a pair."""
    return (size, size) if isinstance(size, int) else (size[0], size[1])


AutoConfig.register(Vila2Config.model_type, Vila2Config)
