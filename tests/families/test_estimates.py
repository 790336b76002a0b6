"""The memory estimate of a stage works for every kind of model of transformers, and never stops a dry run."""

from __future__ import annotations

import pytest
import torch
from transformers import AutoConfig, AutoModelForImageTextToText, PreTrainedConfig
from transformers.integrations.heterogeneity.configuration_utils import AmbiguousGlobalPerLayerAttributeError
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

from vila2.errors import ModelError
from vila2.model.outline import outline
from vila2.recipe.parts.stage import StageSpec
from vila2.train.estimate import Sizes, stage_memory, text_shape
from vila2.train.lora import add_lora

#: Configurations that say nothing of a language model by themselves.
WITHOUT_A_SHAPE = {"pi0"}
#: Configurations whose defaults transformers makes no model of.
NOT_MADE = {
    *("aya_vision", "chameleon", "cohere_compass", "deepseek_ocr2", "diffusion_gemma", "emu3", "evolla"),
    *("fast_vlm", "gemma3n", "granite4_vision", "hunyuan_vl", "inkling_mm_model", "perception_lm"),
    "qwen4_exp",
}
STAGE = {"train": ["projector", "language"], "mixture": [{"dataset": "pairs"}], "style": "chat"}
STAGE |= {"learning_rate": 1e-3, "batch_size": 4}


def memory(sizes: Sizes, **changes: object) -> dict[str, int | None]:
    stage = StageSpec.model_validate(STAGE | changes)
    return stage_memory(sizes, stage, tokens=100, counted=50, value_bytes=2)


def test_every_default_configuration_tells_the_shape_of_its_language_model():
    unknown = set()
    for kind in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES:
        shape = text_shape(AutoConfig.for_model(kind))
        assert all(size is None or size > 0 for size in shape), kind
        if None in shape:
            unknown.add(kind)
    assert unknown == WITHOUT_A_SHAPE


def test_every_kind_of_model_is_estimated_or_has_no_parts_to_train():
    estimated, not_made = 0, dict[str, str]()
    for kind in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES:
        config = AutoConfig.for_model(kind)
        shrink(config)
        try:
            with torch.device("meta"):
                model = AutoModelForImageTextToText.from_config(config)
        except Exception as error:  # transformers can fail in any way at its own default configuration
            not_made[kind] = f"{type(error).__name__}: {error}"
            continue
        try:
            sizes = Sizes.of(model)
        except ModelError as error:
            assert "cannot identify the" in error.what and error.hint, kind
            continue
        assert None not in memory(sizes).values(), kind
        assert None not in memory(sizes, lora={"rank": 4}, train=["language"]).values(), kind
        estimated += 1
    assert estimated >= 55
    assert not_made.keys() == NOT_MADE, not_made


def shrink(config: PreTrainedConfig, depth: int = 0) -> None:
    """A few layers in place of all, so that no time goes into building them."""
    names = ("num_hidden_layers", "depth", "encoder_layers", "decoder_layers", "num_layers", "num_experts")
    for name in (*names, "num_local_experts", "n_routed_experts"):
        try:
            if isinstance(value := getattr(config, name, None), int) and value > 4:
                setattr(config, name, 4)
        except AmbiguousGlobalPerLayerAttributeError:
            continue  # it differs from layer to layer, so it has no one value to lower
    if isinstance(kinds := getattr(config, "layer_types", None), list):
        config.layer_types = kinds[:4]
    for part in [*vars(config).values()]:
        if isinstance(part, PreTrainedConfig) and depth < 3:
            shrink(part, depth + 1)


@pytest.mark.parametrize("family", ["qwen2_vl", "llava_onevision", "gemma3", "ours"])
def test_parameters_and_adapters_are_counted_as_they_are(saved, loaded, family):
    model = loaded(family).model
    found, _ = outline(saved(family))
    sizes = Sizes.of(found)
    # Gradients are four bytes for each parameter that learns, and nothing else.
    learning = {
        id(p): p.numel() for part in ("projector", "language") for p in parts(found)[part].parameters()
    }
    assert memory(sizes)["gradients"] == 4 * sum(learning.values())
    stage = StageSpec.model_validate(STAGE | {"lora": {"rank": 3}, "train": ["language"]})
    import copy

    adapted = add_lora(copy.deepcopy(model), stage)
    adapters = sum(p.numel() for name, p in adapted.named_parameters() if "lora_" in name)
    assert sizes.adapters * 3 == adapters


def parts(model):
    from vila2.model.parts import parts_of

    return parts_of(model)


def test_what_a_configuration_does_not_tell_is_unknown_and_the_rest_is_not():
    sizes = Sizes({"vision": 10, "projector": 10, "language": 100}, None, None, None)
    found = memory(sizes)
    assert found["activations"] is None and found["logits"] is None and found["weights"] == 460


def test_a_dry_run_prints_unknown_where_it_is(capsys):
    from pathlib import Path

    from vila2.cli.tables import print_plan

    sizes = {"weights": 1_000_000, "activations": None}
    print_plan({"plan": [], "memory": {"sft": sizes}}, Path("runs"), as_json=False)
    printed = capsys.readouterr().out
    assert "unknown" in printed and "over 1 MB" in printed
