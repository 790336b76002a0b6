"""The configuration of our model family: a vision tower, a projector, a causal language model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from huggingface_hub.dataclasses import strict
from transformers import AutoConfig, PreTrainedConfig

if TYPE_CHECKING:
    from vila2.model.tiling import Tiling


@strict
class Vila2Config(PreTrainedConfig):
    """Describes the parts of a model and how they are joined.

    Attributes:
        vision_config: configuration of any vision tower that has ``image_size`` and ``patch_size``.
        text_config: configuration of any causal language model.
        projector: name in :data:`vila2.model.projectors.PROJECTORS`; every saved model names its own.
        vision_feature_layer: hidden state of the tower that the projector reads. 0 is the embedding, -2 the
            output of the last layer but one (VILA), -1 the tower's own output, after its last norm.
        image_size: height and width in pixels of an image, or of its tiles, as the processor makes them; None
            for the tower's own size.
        max_tiles: largest number of tiles per image; see :class:`vila2.model.tiling.Tiling`.
        s2_scales: resolutions at which an image is shown; see :class:`vila2.model.tiling.Tiling`.
        visual_expert: kind of the weights that only image tokens use: "dense", a rank, or None for no such
            weights.
        image_token_id: id of the token that is the placeholder of one projected image token.
        head_bias: whether the language model's output layer has a bias.
        token_groups: numbered tokens that were added, with their loss; see :mod:`vila2.model.special_tokens`.
    """

    model_type = "vila2"
    sub_configs = {"vision_config": AutoConfig, "text_config": AutoConfig}  # noqa: RUF012 - their declaration

    vision_config: dict[str, Any] | PreTrainedConfig | None = None
    text_config: dict[str, Any] | PreTrainedConfig | None = None
    projector: str = "mlp_downsample_2x2_fix"
    vision_feature_layer: int = -2
    image_size: list[int] | tuple[int, ...] | None = None
    max_tiles: int = 1
    s2_scales: list[int] | tuple[int, ...] = (1,)
    visual_expert: int | str | None = None
    image_token_id: int | None = None
    head_bias: bool = False
    tie_word_embeddings: bool = False
    token_groups: list[dict[str, Any]] | None = None

    def __post_init__(self, **kwargs: Any) -> None:
        if isinstance(self.vision_config, dict) and self.vision_config.get("model_type", "").startswith(
            "vila2_"
        ):
            # Our own tower registers itself on import. It needs torch, so it is imported only when needed.
            import vila2.model.miniature  # noqa: F401
        self.vision_config = _part(self.vision_config, "siglip_vision_model")
        self.text_config = _part(self.text_config, "qwen2")
        PreTrainedConfig.__post_init__(self, **kwargs)
        if self.text.tie_word_embeddings:
            self.tie_word_embeddings = True

    @classmethod
    def default_config_fields(cls) -> dict[str, Any]:
        """What newer versions of transformers call to save only what differs from a default, in parts too."""
        fields: dict[str, Any] = cast(Any, super()).default_config_fields()
        return fields | {name: {} for name in cls.sub_configs}

    @property
    def vision(self) -> PreTrainedConfig:
        """Configuration of the vision tower; ``vision_config`` after transformers has parsed it."""
        return cast(PreTrainedConfig, self.vision_config)

    @property
    def text(self) -> PreTrainedConfig:
        """Configuration of the language model; ``text_config`` after transformers has parsed it."""
        return cast(PreTrainedConfig, self.text_config)

    @property
    def tiling(self) -> Tiling:
        """How images become tiles and tokens.

        Raises:
            ModelError: settings that contradict each other.
        """
        from vila2.model.tiling import Tiling  # needs torch

        return Tiling(
            self.projector,
            pair(self.image_size or self.vision.image_size),
            pair(self.vision.patch_size),
            self.max_tiles,
            tuple(self.s2_scales),
        )


def _part(given: dict[str, Any] | PreTrainedConfig | None, kind: str) -> PreTrainedConfig:
    """The configuration of a part, from what a file holds of it.

    Not by transformers' own ``SubConfigSpec``, which is younger than the versions that engines require.
    """
    if isinstance(given, PreTrainedConfig):
        return given
    values = given or {}
    return AutoConfig.for_model(**{"model_type": kind, **values})


def pair(size: int | list[int] | tuple[int, ...]) -> tuple[int, int]:
    """Height and width of a size that is one number or a pair."""
    return (size, size) if isinstance(size, int) else (size[0], size[1])


AutoConfig.register(Vila2Config.model_type, Vila2Config)
