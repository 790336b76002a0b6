"""Before a specialist is made: what a dry run shows of it, and what is refused before any work.

The model is real in all but its size.
"""

import io
import json
import shutil
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from tests.model.tiny_families import save_llava
from vila2.cli.main import app
from vila2.cycle.improve import run_recipe
from vila2.data.sample import ImagePart, Sample, assistant, user
from vila2.data.shards import write_dataset
from vila2.errors import DataError, RecipeError, RunError
from vila2.recipe.file.recipe_file import load_recipe
from vila2.recipe.parts.data import DatasetSpec
from vila2.run.board import Board
from vila2.specialist.cost import check_disk
from vila2.specialist.data_trial import try_data
from vila2.specialist.origin import find_origin
from vila2.specialist.specialist_job import prepare_job
from vila2.specialist.specialist_preflight import preflight_specialist
from vila2.specialist.specializing import specialize

LEFT = """
stages:
  tune:
    mixture: [{dataset: howmany}, {dataset: "run:sft", weight: 0.5}]
evaluate: {max_new_tokens: 2, batch_size: 4}
"""


TEMPLATE = (
    "{% for m in messages %}{{ m.role }}: {% for c in m.content %}{% if c.type == 'image' %}<image>"
    "{% else %}{{ c.text }}{% endif %}{% endfor %}{{ eos_token }}{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)


def picture(shade: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (32, 32), (shade, 0, 0)).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module")
def place(site, tmp_path_factory) -> Path:
    """A folder with a tiny LLaVA, images with evidence, a dataset to mix in, and a recipe."""
    folder = tmp_path_factory.mktemp("real")
    save_llava(folder / "vlm")
    (folder / "vlm" / "chat_template.jinja").write_text(TEMPLATE)
    box = {"label": "dog", "box": [0.1, 0.1, 0.5, 0.5]}
    rows = [{"image": f"{n}.png", "evidence": {"objects": [box] * (n % 3)}} for n in range(12)]
    rows += [{"image": "gone.png", "evidence": {"objects": []}}]
    (folder / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    for number in range(12):
        (folder / f"{number}.png").write_bytes(picture(number * 20))
    (folder / "captions.jsonl").write_text(
        "\n".join(json.dumps({"image": f"{n}.png", "captions": ["a dog"]}) for n in range(4))
    )
    turns = (user(ImagePart(), "what?"), assistant("dog"))
    samples = [Sample(f"m{n}", (picture(n),), turns, {}) for n in range(6)]
    write_dataset(folder / "mix", iter(samples), name="mix")
    (folder / "left.yaml").write_text(LEFT)
    return folder


def job_of(place: Path, *overrides: str, data: str = "rows.jsonl"):
    return prepare_job(
        "finding",
        find_origin(place / "vlm"),
        DatasetSpec(source="path", path=str(place / data)),
        recipe=place / "left.yaml",
        overrides=overrides,
        mix=[place / "mix"],
    )


def test_a_dry_run_says_what_a_specialist_is_made_of_and_takes(place, monkeypatch):
    monkeypatch.chdir(place)
    words = ["specialize", "-p", "finding", "--from", "vlm", "--data", "rows.jsonl", "--recipe", "left.yaml"]
    words += ["--mix", "mix", "--dry-run", "--out", "out"]
    said = CliRunner().invoke(app, words)
    text = " ".join(said.stdout.split())
    assert said.exit_code == 0, said.output
    assert "specialist finding: built from rows.jsonl" in text and "12 howmany" in text
    assert "LoRA r=64, 1e-4, because the model has" in text and "is not the miniature" in text
    assert (
        "trains projector and language:" in text and "samples of one epoch: 14" in text
    )  # 12 x 0.9 + 6 x 0.5
    assert "time of training: about" in text and "of a matrix product measured on this machine" in text
    assert "disk:" in text and "models" in text and "checkpoints while training" in text
    assert "are free" in text and "gone.png" in text
    assert not (place / "out").exists()
    found = json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)
    stage = found["specialist"]["stages"]["tune"]
    assert stage["learning_rate"] == 1e-4 and stage["lora"]["rank"] == 64 and stage["samples"] == 14
    assert (
        found["specialist"]["data"]["rejected"] and found["specialist"]["time"]["tune"]["seconds"] is not None
    )
    assert found["memory"]["tune"]["weights"] and found["samples"]["tune"]["trained_tokens"]


def test_what_a_dry_run_counts_as_learning_is_what_learns(place, tmp_path):
    job = job_of(place, "stages.tune.max_steps=1", "stages.tune.batch_size=4", "stages.tune.lora.rank=2")
    counted = preflight_specialist(job, tmp_path / "out")["specialist"]["stages"]["tune"][
        "parameters_trained"
    ]
    made = specialize(job, tmp_path / "out", progress=Board())
    (stage,) = made["results"]["models"][1]["stages"]
    assert stage["parameters_trained"] == counted > 0


def test_without_data_a_real_model_gets_no_toy_scenes_but_is_told_what_is_read(place):
    with pytest.raises(RecipeError, match="no data to build from") as error:
        prepare_job("finding", find_origin(place / "vlm"), None, mix=[place / "mix"])
    for part in (
        "'finding' reads",
        "--data PATH",
        "specialists.finding.data",
        "--data world:split=specialist",
    ):
        assert part in error.value.hint


def test_data_that_gives_no_sample_is_told_with_rejects_by_reason_and_examples(place):
    rows = [{"image": f"{n}.png", "question": "What?", "answer": "a"} for n in range(3)]
    rows += [{"image": "gone.png", "question": "What?", "answer": "a"}]
    (place / "questions.jsonl").write_text("\n".join(map(json.dumps, rows)))
    with pytest.raises(DataError, match=r"the first 4 inputs of .*questions.jsonl give no sample") as error:
        try_data(job_of(place, data="questions.jsonl"))
    said = str(error.value)
    assert "no-evidence 3" in said and said.count("for example") == 2 and "'finding' reads" in said


def test_a_build_of_nothing_names_what_was_rejected(place, tmp_path):
    from vila2.specialist.making_steps import BuildSettings, build

    (place / "gone.jsonl").write_text(json.dumps({"image": "gone.png", "evidence": {"objects": []}}))
    settings = BuildSettings(
        plugin="finding", plugin_version="1.0", config={}, prompts=(), held_out=0.1, seed=0
    )
    with pytest.raises(DataError, match=r"nothing was built; rejected: \S+ 1\n  for example .*gone") as error:
        build(tmp_path, settings, {"data": place / "gone.jsonl"}, Board())
    assert "rejected.jsonl" in error.value.hint


def test_all_that_is_missing_is_told_at_once(place):
    with pytest.raises(RecipeError, match="2 things are missing") as error:
        prepare_job("finding", find_origin(place / "vlm"), None)
    assert "no data to build from" in str(error.value) and "--mix" in str(error.value)
    with pytest.raises(DataError, match="no/such"):
        data = DatasetSpec(source="path", path=str(place / "rows.jsonl"))
        prepare_job("finding", find_origin(place / "vlm"), data, mix=[place / "no" / "such"])


RUN = """
name: real
data: {photos: {source: captions, path: captions.jsonl}}
model: {pretrained: vlm}
stages:
  sft: {train: [projector, language], mixture: [{dataset: photos}], learning_rate: 1e-3, batch_size: 2}
cycle: {rounds: 1, stage: sft}
specialists:
  finding: {data: {source: path, path: rows.jsonl}, recipe: left.yaml}
"""


def test_a_runs_dry_run_shows_its_specialists_too(place, monkeypatch):
    (place / "run.yaml").write_text(RUN)
    monkeypatch.chdir(place)
    said = CliRunner().invoke(app, ["run", "run.yaml", "--dry-run"])
    text = " ".join(said.stdout.split())
    assert said.exit_code == 0, said.output
    assert (
        "specialist finding: built from" in text and "the model reads" in text.split("specialist finding")[1]
    )
    assert "how many samples run:sft has is known once it is read" in text
    found = json.loads(CliRunner().invoke(app, ["run", "run.yaml", "--dry-run", "--json"]).stdout)
    assert {"data", "stages", "samples", "memory", "disk", "time"} <= found["specialists"]["finding"].keys()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("data: {source: path, path: rows.jsonl}, ", "", "the images of dataset 'photos' carry no evidence"),
        ("rows.jsonl", "nowhere.jsonl", "nowhere.jsonl: no such file or folder to build from"),
        ("left.yaml}", "left.yaml, set: {stages.tune.epoch: 2, shard_sise: 3}}", "'epochs'"),
        ("left.yaml}", "left.yaml, set: {stages.tune.epoch: 2, shard_sise: 3}}", "'shard_size'"),
        ("left.yaml}", "left.yaml, set: {start: align}}", "no stage 'align' to start from"),
        ("left.yaml}", "vila2_finding_files/recip.yaml}", "did you mean 'vila2_finding_files/recipe.yaml'?"),
        ("left.yaml}", "left.yaml, set: {stages.tune.train: [language, vision]}}", "or lora: null"),
        ("left.yaml}", "left.yaml, set: {stages.tune.max_length: 4}}", "within max_length=4"),
    ],
)
def test_what_stands_in_the_way_of_a_specialist_is_told_before_the_rounds(place, monkeypatch, old, new, said):
    assert old in RUN
    (place / "wrong.yaml").write_text(RUN.replace(old, new))
    monkeypatch.chdir(place)
    with pytest.raises(Exception, match=r"specialists\.finding") as error:
        run_recipe(load_recipe("wrong.yaml"), place / "wrong", dry_run=False, progress=Board())
    assert said in str(error.value)
    assert not (place / "wrong").exists()


def test_what_counts_for_nothing_beside_a_specialist_made_before_is_said(place, monkeypatch, caplog):
    from vila2.specialist.specialist_preflight import warn_of_unused_settings

    (place / "made.yaml").write_text(RUN.replace("left.yaml}", "left.yaml, made: folder}"))
    monkeypatch.chdir(place)
    warn_of_unused_settings(load_recipe("made.yaml"))
    assert (
        "specialists.finding: it was made before, so these keys count for nothing: recipe, data"
        in caplog.text
    )


def test_what_is_wrong_with_several_specialists_is_told_at_once(place, monkeypatch):
    pytest.importorskip("vila2_ocr", reason="the plugin is not installed")
    wrong = (
        RUN.replace("rows.jsonl", "nowhere.jsonl") + "  ocr: {data: {source: path, path: nothing.jsonl}}\n"
    )
    (place / "wrong.yaml").write_text(wrong)
    monkeypatch.chdir(place)
    with pytest.raises(RecipeError, match="2 specialists cannot be made") as error:
        run_recipe(load_recipe("wrong.yaml"), place / "wrong", dry_run=True, progress=Board())
    said = str(error.value)
    assert "specialists.finding: nowhere.jsonl" in said and "specialists.ocr: nothing.jsonl" in said
    assert "TextOCR" in said  # what ocr reads instead


def test_too_little_room_on_disk_is_told_with_both_numbers(tmp_path):
    with pytest.raises(
        RunError, match=r"specialists: ocr: 1152921504.6 GB are needed on disk, and that of .* has .* GB left"
    ):
        check_disk(1 << 60, tmp_path / "not" / "there", "specialists: ocr")
    check_disk(1, tmp_path / "not" / "there", "specialists: ocr")


def test_the_example_for_one_gpu_is_planned_with_a_model_from_disk(place, tmp_path, monkeypatch):
    for name in ("photos", "images"):
        (tmp_path / name).mkdir()
        shutil.copy(place / "1.png", tmp_path / name / "a.png")
    (tmp_path / "photos" / "a.txt").write_text("a dog")
    (tmp_path / "test.jsonl").write_text(json.dumps({"image": "photos/a.png", "captions": ["a dog"]}))
    talk = [{"from": "human", "value": "<image>\nWhat?"}, {"from": "gpt", "value": "A dog."}]
    (tmp_path / "instructions.json").write_text(
        json.dumps([{"id": "1", "image": "a.png", "conversations": talk}])
    )
    example = Path(__file__).parents[2] / "examples" / "one-gpu.yaml"
    monkeypatch.chdir(tmp_path)
    data = f"{{source: path, path: {place / 'rows.jsonl'}}}"
    use = f"specialists={{finding: {{data: {data}, recipe: {place / 'left.yaml'}}}}}"
    words = [
        "run",
        str(example),
        "--dry-run",
        "--json",
        "--set",
        f"model.pretrained={place / 'vlm'}",
        "--set",
        use,
    ]
    said = CliRunner().invoke(app, words)
    assert said.exit_code == 0, said.output
    found = json.loads(said.stdout)
    assert set(found["samples"]) == {"pretrain", "sft"}
    assert found["specialists"]["finding"]["stages"]["tune"]["learning_rate"] == 1e-4
    assert "world" not in said.stdout and "builtin" not in said.stdout
