"""What a model cannot do is said by name, with a hint, before any work."""

import pytest
import torch
import yaml

from tests.families.cells import PLAIN, Refused, recipe, vila2
from vila2.errors import TrainingError
from vila2.model.encoded import Encoded
from vila2.packing.collate import Collator


def test_images_of_unequal_size_are_not_padded_where_nothing_tells_the_model():
    small, large = (
        Encoded([1, 2], [1, 2], inputs={"pixel_values": torch.ones(1, 3, side, 4)}) for side in (4, 8)
    )
    with pytest.raises(
        TrainingError, match=r"(?s)pixel_values: \(3, 4, 4\), \(3, 8, 4\).*device_batch_size: 1"
    ):
        Collator(0)([small, large])
    sizes = [{"image_sizes": torch.tensor([[side, 4]])} for side in (4, 8)]
    told = [
        Encoded(one.input_ids, one.labels, inputs={**one.inputs, **size})
        for one, size in zip((small, large), sizes, strict=True)
    ]
    batch = Collator(0)(told)
    assert batch["pixel_values"].shape == (2, 3, 8, 4) and not batch["pixel_values"][0, :, 4:].any()


def test_packs_of_a_specialist_are_refused_before_the_rounds(saved, tmp_path):
    file = recipe(tmp_path, "qwen2_vl", saved("qwen2_vl"))
    changed = yaml.safe_load(file.read_text())
    data = {"source": "world", "options": {"split": "specialist", "count": 5}}
    changed["specialists"] = {"ocr": {"data": data, "set": {"stages.reading.pack_length": 4096}}}
    changed["cycle"] |= {"stage": "sft", "rounds": 1}
    file.write_text(yaml.safe_dump(changed))
    with pytest.raises(Refused, match=r"specialists\.ocr: stage reading: .*rows and columns.*pack_length"):
        vila2("run", file, "-q", cwd=tmp_path)
    assert not [*tmp_path.glob("runs/*/steps/*")]


def test_a_chat_stage_of_a_model_without_a_template_is_refused_before_it(saved, tmp_path):
    (family,) = PLAIN
    file = recipe(tmp_path, family, saved(family), style="chat")
    with pytest.raises(Refused, match=r"stage sft: PaliGemmaProcessor has no chat template.*style: plain"):
        vila2("run", file, "-q", cwd=tmp_path)
    assert not [*tmp_path.glob("runs/*/steps/*")]


def test_adapters_hang_on_the_language_model_alone(loaded):
    from tests.families.tiny import FAMILIES
    from vila2.train.lora import adapted_layers

    for family in FAMILIES:
        if family != "florence2":
            model = loaded(family).model
            inside = {id(module) for module in model.get_decoder().modules()}
            assert all(id(layer) in inside for layer in adapted_layers(model).values()), family
