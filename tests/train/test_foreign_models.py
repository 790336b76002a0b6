"""A stage on models that are not of our family: LLaVA, Idefics3 and Qwen-VL."""

import pytest
import torch

from tests.model.tiny_families import FAMILIES
from vila2.data.shards import write_dataset
from vila2.model.generalist import load_generalist
from vila2.recipe.parts.stage import StageSpec
from vila2.run.board import Board
from vila2.sources import open_source
from vila2.train.stage import train_stage
from vila2.train.train_settings import TrainSettings

TEMPLATES = {
    "llava": ("<image>", "<s>"),
    "idefics3": ("<image>", "<end_of_utterance>"),
    "qwen2_vl": ("<|vision_start|><|image_pad|><|vision_end|>", "<s>"),
}


def template(image: str, end: str) -> str:
    return (
        "{% for m in messages %}{{ m.role }}:{% for p in m.content %}"
        "{% if p.type == 'image' %}" + image + "{% else %}{{ p.text }}{% endif %}{% endfor %}"
        + end + "{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}"
    )  # fmt: skip


@pytest.mark.parametrize("style", ["chat", "plain"])
@pytest.mark.parametrize("lora", [None, {"rank": 2}])
@pytest.mark.parametrize("family", TEMPLATES)
def test_a_stage_trains_a_model_of_another_family(tmp_path, family, lora, style):
    torch.set_num_threads(1)
    FAMILIES[family][0](tmp_path / "start" / "model")
    (tmp_path / "start" / "model" / "chat_template.jinja").write_text(template(*TEMPLATES[family]))
    samples = open_source("world", split="sft", count=4, content="alt_text")
    write_dataset(tmp_path / "pairs", samples, name="pairs")
    stage = StageSpec.model_validate(
        {"train": ["projector", "language"], "style": style, "learning_rate": 1e-2, "batch_size": 2}
        | {"mixture": [{"dataset": "pairs"}], "lora": lora}
    )
    settings = TrainSettings(name="sft", stage=stage, seed=0, dtype="float32")
    inputs = {"model": tmp_path / "start", "data.pairs": tmp_path / "pairs"}
    results = train_stage(tmp_path / "stage", settings, inputs, Board())
    assert results["steps"] == 2 and results["trained"] == ["projector", "language"]
    before = load_generalist(tmp_path / "start" / "model").model.state_dict()
    after = load_generalist(tmp_path / "stage" / "model").model.state_dict()
    assert before.keys() == after.keys()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed and all(torch.isfinite(after[name]).all() for name in changed)
