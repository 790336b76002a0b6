"""The model: projected image features replace the image tokens, and the language model reads the result.

embeddings = embed(input_ids)
features   = project(vision_tower(pixel_values))
embeddings[input_ids == image_token] = features
logits     = head(language_model(embeddings))
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import nn
from transformers import (
    AutoModel,
    AutoModelForImageTextToText,
    GenerationMixin,
    PreTrainedModel,
    initialization as init,
)
from transformers.modeling_outputs import (
    BaseModelOutputWithPast,
    BaseModelOutputWithPooling,
    CausalLMOutputWithPast,
)

from vila2.errors import ModelError
from vila2.model.configuration import Vila2Config
from vila2.model.embeddings import input_embeddings
from vila2.model.multiscale import grids_of, join_scales, put_together
from vila2.model.projectors import build_projector
from vila2.model.seen_before import SeenBefore
from vila2.model.towers import patch_features
from vila2.model.visual_expert import VisualExpert, ZeroLinear

# Of each tile or image its projected tokens [tokens, hidden size]; a tensor if all have equally many.
_Features = torch.Tensor | list[torch.Tensor]


class Vila2PreTrainedModel(PreTrainedModel):
    """Settings shared by the models of the family."""

    config: Vila2Config
    config_class = Vila2Config
    base_model_prefix = "model"
    input_modalities = ["image", "text"]  # noqa: RUF012 - transformers' own declaration
    supports_gradient_checkpointing = True
    _skip_keys_device_placement = ["past_key_values"]  # noqa: RUF012 - transformers' own declaration
    _supports_flash_attn = True
    _supports_sdpa = True
    _supports_flex_attn = True
    _supports_attention_backend = True

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        PreTrainedModel._init_weights(self, module)
        if isinstance(module, ZeroLinear):
            init.zeros_(module.weight)


class Vila2Model(Vila2PreTrainedModel):
    """Joins vision tower, projector and language model, without the language model's output layer.

    It also holds a visual expert, weights that only image tokens use, if the configuration asks for one.
    """

    vision_tower: PreTrainedModel
    language_model: PreTrainedModel

    def __init__(self, config: Vila2Config) -> None:
        super().__init__(config)
        self.vision_tower = AutoModel.from_config(config.vision_config)
        self.seen_before: SeenBefore | None = None
        self.multi_modal_projector = build_projector(
            config.projector,
            config.vision.hidden_size * len(config.s2_scales),
            config.text.hidden_size,
        )
        self.language_model = AutoModel.from_config(config.text_config)
        self.add_visual_expert()
        check_feature_layer(config)
        PreTrainedModel.post_init(self)

    def add_visual_expert(self) -> None:
        """Adds a fresh visual expert to the language model, if the configuration asks for one."""
        kind = self.config.visual_expert
        self.visual_expert = None if kind is None else VisualExpert(self.language_model, kind)

    def get_input_embeddings(self) -> nn.Module:
        return input_embeddings(self.language_model)

    def set_input_embeddings(self, value: nn.Module) -> None:
        self.language_model.set_input_embeddings(value)

    def get_image_features(
        self, pixel_values: torch.Tensor, image_grids: torch.Tensor | None = None, **kwargs: Any
    ) -> BaseModelOutputWithPooling:
        """Encodes and projects images.

        Args:
            pixel_values: pixels [tiles, 3, height, width], as the processor makes them.
            image_grids: rows and columns of tiles [images, 2]; for dynamic S² only.

        Returns:
            ``last_hidden_state`` [projected tiles, rows * columns, C], the vision features before projection;
            ``pooler_output`` [projected tiles, tokens per tile, hidden size of the language model], or for
            dynamic S² a list with [tokens of the image, hidden size] for each image.

        Raises:
            ModelError: tiles that do not fit the settings.
        """
        features, rows, columns = patch_features(
            self.vision_tower, self.config, pixel_values, self.seen_before
        )
        tiling = self.config.tiling
        if not tiling.multiscale:
            projected = self.multi_modal_projector(features, rows, columns)
            return BaseModelOutputWithPooling(last_hidden_state=features, pooler_output=projected)
        grids = grids_of(tiling, len(features), image_grids)
        features = join_scales(features, tiling, grids)
        projected = self.multi_modal_projector(features, rows, columns)
        if tiling.dynamic_scales:
            inside = self.multi_modal_projector.grid(rows, columns)
            tiles = projected.split([tiling.projected_tiles(grid) for grid in grids])
            projected = [
                put_together(own, grid, inside).flatten(0, 2) for own, grid in zip(tiles, grids, strict=True)
            ]
        return BaseModelOutputWithPooling(last_hidden_state=features, pooler_output=projected)

    def forward(
        self,
        input_ids: torch.LongTensor | None = None,
        pixel_values: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        position_ids: torch.LongTensor | None = None,
        past_key_values: Any = None,
        inputs_embeds: torch.Tensor | None = None,
        mm_encoder_outputs: dict[str, BaseModelOutputWithPooling] | None = None,
        image_grids: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> BaseModelOutputWithPast:
        """Reads text with images in it.

        Args:
            input_ids: token ids [B, L], with ``image_token_id`` once for every projected image token.
            pixel_values: pixels [tiles of the whole batch, 3, height, width], in the order of their
                placeholders.
            attention_mask: mask [B, L]; or [B, 1, L, L], boolean (True: may attend) or additive, which
                isolates parts of a sequence and needs ``position_ids``.
            position_ids: positions [B, L].
            past_key_values: cache of the tokens read before.
            inputs_embeds: embeddings [B, L, hidden size], images included, that replace ``input_ids``.
            mm_encoder_outputs: {"image": result of :meth:`get_image_features`}, which replaces
                ``pixel_values``.
            image_grids: see :meth:`get_image_features`.

        Raises:
            ModelError: the number of image tokens in the text differs from what its images need.
        """
        if input_ids is not None and inputs_embeds is None:
            features = self._projected(pixel_values, mm_encoder_outputs, image_grids)
            reads_start = past_key_values is None or past_key_values.get_seq_length() == 0
            inputs_embeds = self._embed(input_ids, features, check=features is not None or reads_start)
        elif input_ids is not None or inputs_embeds is None:
            raise ModelError("give either input_ids or inputs_embeds", hint="leave one of them out")
        elif pixel_values is not None or self.visual_expert is not None:
            what = "pixel_values" if pixel_values is not None else "a visual expert"
            raise ModelError(f"inputs_embeds and {what} exclude each other", hint="pass input_ids")
        outputs: BaseModelOutputWithPast = self.language_model(
            inputs_embeds=inputs_embeds,
            attention_mask=self._additive_where_needed(attention_mask, inputs_embeds.dtype),
            position_ids=position_ids,
            past_key_values=past_key_values,
            **kwargs,
        )
        return outputs

    def _projected(
        self,
        pixel_values: torch.Tensor | None,
        encoded: dict[str, BaseModelOutputWithPooling] | None,
        image_grids: torch.Tensor | None,
    ) -> _Features | None:
        """The projected tokens of every tile or image, each [tokens, hidden size]; None without images."""
        found = encoded.get("image") if encoded else None
        if found is None and pixel_values is not None:
            found = self.get_image_features(pixel_values, image_grids)
        return None if found is None else cast(_Features, found.pooler_output)

    def _embed(self, input_ids: torch.Tensor, features: _Features | None, *, check: bool) -> torch.Tensor:
        """The embeddings [B, L, hidden size] of a text, with the features in place of its image tokens.

        Args:
            input_ids: token ids [B, L].
            features: projected tokens of all images; None without images.
            check: whether the text must have as many image tokens as there are features.
        """
        embeddings = cast(torch.Tensor, self.get_input_embeddings()(input_ids))
        places: torch.Tensor = torch.eq(input_ids, cast(int, self.config.image_token_id))
        if check:
            self._check_places(places, features)
        if features is not None:
            tokens = torch.cat(list(features)).to(embeddings.dtype)
            embeddings = embeddings.masked_scatter(places.unsqueeze(-1), tokens)
        if self.visual_expert is not None:
            self.visual_expert.look_at(places)
        return embeddings

    def _check_places(self, places: torch.Tensor, features: _Features | None) -> None:
        """Raises a ModelError if the image tokens of a text [B, L] are more or fewer than the features."""
        if torch.compiler.is_compiling():
            return
        tiles = 0 if features is None else len(features)
        found, needed = int(places.sum()), 0 if features is None else sum(map(len, features))
        if found != needed:
            each = f" ({len(features[0])} each)" if isinstance(features, torch.Tensor) else ""
            raise ModelError(
                f"{tiles} images or tiles need {needed} image tokens{each},"
                f" but the text has {found} of them (id {self.config.image_token_id})"
                f" in {len(places)} sequences",
                hint="make text and images with the model's own processor, and do not cut inside an image",
            )

    def _additive_where_needed(self, mask: torch.Tensor | None, dtype: torch.dtype) -> torch.Tensor | None:
        """Converts a 4D boolean mask to an additive one for eager attention; keeps any other mask."""
        if not isinstance(mask, torch.Tensor) or mask.dim() != 4 or mask.dtype != torch.bool:
            return mask
        if self.config.text._attn_implementation != "eager":
            return mask
        return torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill(
            ~mask, torch.finfo(dtype).min
        )


class Vila2ForConditionalGeneration(Vila2PreTrainedModel, GenerationMixin):
    """Adds the language model's output layer: trains, and generates text from images and text."""

    model: Vila2Model
    lm_head: nn.Linear
    # The name of the embedding depends on the language model, so __init__ sets it.
    _tied_weights_keys = {"lm_head.weight": ""}  # noqa: RUF012 - transformers' own declaration

    def __init__(self, config: Vila2Config) -> None:
        super().__init__(config)
        self.model = Vila2Model(config)
        text = config.text
        self.lm_head = nn.Linear(text.hidden_size, text.vocab_size, bias=config.head_bias)
        embedding = self.get_input_embeddings()
        name = next(name for name, module in self.named_modules() if module is embedding)
        self._tied_weights_keys = {"lm_head.weight": f"{name}.weight"}
        PreTrainedModel.post_init(self)

    def get_input_embeddings(self) -> nn.Module:
        return input_embeddings(self.model)

    def set_input_embeddings(self, value: nn.Module) -> None:
        self.model.set_input_embeddings(value)

    def get_image_features(
        self, pixel_values: torch.Tensor, image_grids: torch.Tensor | None = None, **kwargs: Any
    ) -> BaseModelOutputWithPooling:
        """Encodes and projects images; see :meth:`Vila2Model.get_image_features`."""
        return self.model.get_image_features(pixel_values, image_grids, **kwargs)

    def forward(
        self,
        input_ids: torch.LongTensor | None = None,
        pixel_values: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        position_ids: torch.LongTensor | None = None,
        past_key_values: Any = None,
        inputs_embeds: torch.Tensor | None = None,
        labels: torch.LongTensor | None = None,
        logits_to_keep: int | torch.Tensor = 0,
        mm_encoder_outputs: dict[str, BaseModelOutputWithPooling] | None = None,
        image_grids: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> CausalLMOutputWithPast:
        """Predicts each next token; inputs as in :meth:`Vila2Model.forward`.

        Args:
            labels: token ids [B, L], not shifted; -100 where the loss does not count.
            logits_to_keep: number of positions from the end that are predicted at (0: all), or their indices.

        Returns:
            ``loss`` if there are labels, ``logits`` [B, positions kept, vocabulary], ``past_key_values``.
            In training mode ``logits`` are those that the loss counts, [tokens counted, vocabulary]. A caller
            that passes ``shift_labels``, the labels at the positions kept, gets the logits at those
            positions.
        """
        outputs = self.model(
            input_ids=input_ids,
            pixel_values=pixel_values,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            inputs_embeds=inputs_embeds,
            mm_encoder_outputs=mm_encoder_outputs,
            image_grids=image_grids,
            **kwargs,
        )
        hidden, loss = outputs.last_hidden_state, None
        vocabulary = self.config.text.vocab_size
        if labels is not None and self.training and "shift_labels" not in kwargs:
            # Most tokens of training are images and questions, which the loss does not count. So the output
            # layer, the largest of a small model, runs only where it does.
            following = nn.functional.pad(labels[:, 1:], (0, 1), value=-100)
            counted = following != -100
            logits = self.lm_head(hidden[counted])
            loss = self.loss_function(
                logits=logits, labels=None, shift_labels=following[counted], vocab_size=vocabulary, **kwargs
            )
            return CausalLMOutputWithPast(loss=loss, logits=logits, past_key_values=outputs.past_key_values)
        kept = slice(-logits_to_keep, None) if isinstance(logits_to_keep, int) else logits_to_keep
        logits = self.lm_head(hidden[:, kept])
        if labels is not None:
            loss = self.loss_function(logits=logits, labels=labels, vocab_size=vocabulary, **kwargs)
        return CausalLMOutputWithPast(
            loss=loss,
            logits=logits,
            past_key_values=outputs.past_key_values,
            hidden_states=outputs.hidden_states,
            attentions=outputs.attentions,
        )


def check_feature_layer(config: Vila2Config) -> None:
    """Raises a ModelError if the vision tower has no hidden state ``vision_feature_layer``."""
    layer, layers = config.vision_feature_layer, getattr(config.vision, "num_hidden_layers", None)
    kind = config.vision.model_type
    if layers is None and layer != -1:
        raise ModelError(
            f"vision tower {kind!r} gives its last features only, not vision_feature_layer={layer}",
            hint="set vision_feature_layer to -1",
        )
    if layers is not None and not -layers - 1 <= layer <= layers:
        raise ModelError(
            f"vision_feature_layer={layer}, but vision tower {kind!r} has {layers} layers",
            hint=f"choose a layer from {-layers - 1} to {layers}",
        )


AutoModel.register(Vila2Config, Vila2Model)
AutoModelForImageTextToText.register(Vila2Config, Vila2ForConditionalGeneration)
