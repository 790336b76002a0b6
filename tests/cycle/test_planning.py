"""The plan of a recipe against published figures, and over the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from vila2.api.recipes import read_recipe
from vila2.cli.main import app
from vila2.cycle.planning import Hardware, Workload, plan_recipe
from vila2.errors import RecipeError

VILA = """
name: vila
model: {{vision: builtin:world/vision, language: builtin:world/language, projector: linear, dtype: bfloat16}}
data:
  cc3m: {{source: shards, path: "{0}/cc3m"}}
  coyo: {{source: shards, path: "{0}/coyo"}}
  mmc4: {{source: shards, path: "{0}/mmc4"}}
  blend: {{source: shards, path: "{0}/blend"}}
stages:
  align: {{mixture: [{{dataset: cc3m}}]}}
  pretrain: {{mixture: [{{dataset: mmc4}}, {{dataset: coyo}}], gradient_checkpointing: true}}
  sft: {{mixture: [{{dataset: blend}}], gradient_checkpointing: true}}
cycle: {{rounds: {1}}}
"""
#: VILA 7B (arXiv 2312.07533): Llama-2-7B, CLIP ViT-L/14 at 336 pixels with 576 tokens; 25M images of MMC4 and
#: 25M of COYO with 122.5 and 22.7 tokens of text each (Table 2); 595K pairs; 1M samples of SFT.
TOLD = {
    "parameters": {"vision": 304_000_000, "projector": 21_000_000, "language": 6_738_000_000},
    "samples": {"cc3m": 595_000, "coyo": 25_000_000, "mmc4": 25_000_000, "blend": 1_000_000},
    "tokens": {"cc3m": 600, "coyo": 599, "mmc4": 698, "blend": 876},
}


@pytest.fixture
def vila(tmp_path: Path) -> Path:
    path = tmp_path / "vila.yaml"
    path.write_text(VILA.format(tmp_path, 2))
    return path


def workload(**changes: object) -> Workload:
    return Workload(
        **{
            **TOLD,
            "image_tokens": 576,
            "images": 25_000_000,
            "image_bytes": 60_000,
            "value_bytes": 2,
            **changes,
        }
    )


def test_hours_of_vila_7b_on_128_a100(vila: Path) -> None:
    """30 hours of pretraining, and 40 together; docs/scale.md says what is not explained."""
    steps = {
        step.name: step for step in plan_recipe(read_recipe(vila), workload(), Hardware.parse("128xA100"))
    }
    assert steps["vila0-pretrain"].hours == pytest.approx(30, rel=0.5)
    whole = sum(steps[f"vila0-{name}"].gpu_hours for name in ("align", "pretrain", "sft"))
    assert whole == pytest.approx(5100, rel=0.5)
    assert steps["vila0-align"].hours < steps["vila0-sft"].hours < steps["vila0-pretrain"].hours


def test_rounds_describe_images_and_train_again_from_the_stage_of_the_cycle(vila: Path) -> None:
    loaded = read_recipe(vila)
    one = plan_recipe(loaded, workload(), Hardware.parse("8xH100"))
    names = [step.name for step in one if not step.name.startswith("data-")]
    assert names[3:] == ["self-1", "vila1-pretrain", "vila1-sft", "self-2", "vila2-pretrain", "vila2-sft"]
    by_name = {step.name: step for step in one}
    assert by_name["vila1-pretrain"].operations > by_name["vila0-pretrain"].operations
    assert by_name["data-coyo"].bytes == 25_000_000 * 60_000
    two = plan_recipe(loaded, workload(), Hardware.parse("16xH100"), price=2.0)
    for small, large in zip(one, two, strict=True):
        assert large.gpu_hours == pytest.approx(small.gpu_hours)
        assert large.hours == pytest.approx(small.hours / 2)
        assert large.dollars == pytest.approx(2 * large.gpu_hours)
    served = read_recipe(vila, ["engine={name: openai, url: http://localhost:1/v1}"])
    faster = {step.name: step for step in plan_recipe(served, workload(), Hardware.parse("8xH100"))}
    assert faster["self-1"].hours < by_name["self-1"].hours / 5


@pytest.mark.parametrize("text", ["8", "8xT1000", "0xH100", "H100", "8 x H100"])
def test_hardware_that_is_not_known_is_refused(text: str) -> None:
    with pytest.raises(RecipeError, match="--hardware"):
        Hardware.parse(text)


def test_a_plan_needs_neither_data_nor_models(vila: Path) -> None:
    told = ["--parameters", "vision=304M", "--parameters", "language=6.7B", "--image-tokens", "576"]
    for name, count in {"cc3m": "595K", "coyo": "25M", "mmc4": "25M"}.items():
        told += ["--samples", f"{name}={count}"]
    asked = ["plan", str(vila), "--hardware", "128xA100", "--json", *told]
    missing = CliRunner().invoke(app, asked)
    assert missing.exit_code == 2 and "--samples blend=" in missing.output
    found = CliRunner().invoke(app, [*asked, "--samples", "blend=1M"])
    assert found.exit_code == 0, found.output
    plan = json.loads(found.stdout)
    assert sum(step["gpu_hours"] for step in plan["steps"]) == pytest.approx(plan["total"]["gpu_hours"])
    text = CliRunner().invoke(app, [*asked[: -len(told) - 1], *told, "--samples", "blend=1M"])
    assert "vila2-sft" in text.output and "together" in text.output
