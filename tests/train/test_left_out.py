"""Samples that cannot be trained on are left out, counted and named; the rest trains as if alone."""

import io
import json

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from tests.model.tiny_families import FAMILIES
from vila2.data.mixtures import Mixture, ViewedDataset
from vila2.data.sample import ImagePart, Sample, Turn, assistant, user
from vila2.data.shards import ShardDataset, write_dataset
from vila2.data.views import View
from vila2.errors import TrainingError
from vila2.recipe.parts.stage import StageSpec
from vila2.run.board import Board
from vila2.train.left_out import LEFT_OUT_FILE
from vila2.train.processes import train_in_processes
from vila2.train.stage import train_stage
from vila2.train.train_settings import TrainSettings

#: Insists on turns, as Mistral's and Gemma's do.
TEMPLATE = (
    "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('roles "
    "must alternate') }}{% endif %}{{ m.role }}:{% for p in m.content %}"
    "{% if p.type == 'image' %}IMAGE{% else %}{{ p.text }}{% endif %}{% endfor %}<s>{% endfor %}"
)
IMAGES = {"qwen2_vl": "<|vision_start|><|image_pad|><|vision_end|>", "llava": "<image>"}


def picture(width: int, height: int, shade: int = 0) -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (width, height), (shade, 90, 200)).save(data, "PNG")
    return data.getvalue()


def good(number: int) -> Sample:
    turns = (user(ImagePart(0), f"What is {number}?"), assistant(f"Number {number}."))
    return Sample(f"good-{number}", (picture(40 + number, 40, 20 * number),), turns)


LONG = Sample("long", (picture(40, 40),), (user(ImagePart(0), "Why? " * 100), assistant("Because.")))
LINE = Sample("line", (picture(600, 2),), (user(ImagePart(0), "What?"), assistant("A line.")))
FIRST = Sample(
    "first", (picture(40, 40),), (assistant("Hello."), user(ImagePart(0), "What?"), assistant("A."))
)
TWO = Sample(
    "two", (picture(40, 40), picture(40, 40)), (user(ImagePart(0), ImagePart(1), "Same?"), assistant("Yes."))
)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    for family, image in IMAGES.items():
        FAMILIES[family][0](folder / family / "model")
        (folder / family / "model" / "chat_template.jinja").write_text(TEMPLATE.replace("IMAGE", image))
    return folder


def stage_of(folder, models, samples, family="qwen2_vl", **changes):
    """Settings and inputs of a stage on these samples."""
    write_dataset(folder / "rows", samples, name="rows")
    spec = {"train": ["projector", "language"], "style": "chat", "learning_rate": 1e-2, "batch_size": 2}
    stage = StageSpec.model_validate(
        spec | {"mixture": [{"dataset": "rows"}], "max_length": 150, "deepspeed": None} | changes
    )
    settings = TrainSettings(name="sft", stage=stage, seed=0, dtype="float32")
    return settings, {"model": models / family, "data.rows": folder / "rows"}


def trained(folder, *stage, **more):
    torch.set_num_threads(1)
    settings, inputs = stage
    settings = settings.model_copy(update={"stage": settings.stage.model_copy(update=more)})
    results = train_stage(folder / "stage", settings, inputs, Board())
    return results, load_file(folder / "stage" / "model" / "model.safetensors")


def named(folder) -> dict[str, str]:
    lines = (folder / "stage" / LEFT_OUT_FILE).read_text().splitlines()
    return {row["key"]: row["reason"] for row in map(json.loads, lines)}


def same(one, other) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_what_does_not_fit_is_left_out_and_the_rest_trains_as_if_it_had_never_been_there(models, tmp_path):
    samples = [good(n) for n in range(8)]
    mixed = [samples[0], LONG, *samples[1:5], LINE, *samples[5:], FIRST]
    results, weights = trained(tmp_path, *stage_of(tmp_path, models, mixed), max_left_out=0.3)
    reasons = named(tmp_path)
    assert "nothing to train on is left within max_length=150" in reasons["long"]
    assert "600x2" in reasons["line"] and "aspect ratio" in reasons["line"]
    assert "roles must alternate" in reasons["first"] and len(reasons) == 3
    assert results["samples"] == 8 and results["steps"] == 4
    assert {name: results["left_out"][name] for name in ("count", "of")} == {"count": 3, "of": 11}
    assert sum(results["left_out"]["kinds"].values()) == 3

    alone = tmp_path / "alone"
    other, own = trained(alone, *stage_of(alone, models, samples))
    assert "left_out" not in other and not (alone / "stage" / LEFT_OUT_FILE).exists()
    assert same(weights, own)


def test_rows_are_packed_without_what_fits_into_none(models, tmp_path):
    samples = [good(n) for n in range(6)]
    packed = {"family": "llava", "pack_length": 160, "pack_images": 1, "max_left_out": 0.3}
    settings, inputs = stage_of(tmp_path, models, [LONG, *samples, TWO], **packed)
    results, weights = trained(tmp_path, settings, inputs, max_left_out=0.3)
    assert named(tmp_path).keys() == {"long", "two"} and "pack_images=1" in named(tmp_path)["two"]
    alone = tmp_path / "alone"
    _, own = trained(alone, *stage_of(alone, models, samples, **packed))
    assert results["samples"] == 6 and same(weights, own)


def test_too_many_are_an_error_before_the_training_that_says_how_to_go_on(models, tmp_path):
    settings, inputs = stage_of(tmp_path, models, [good(0), good(1), LONG, LINE, LINE_AGAIN])
    with pytest.raises(TrainingError) as caught:
        trained(tmp_path, settings, inputs)
    assert (
        "3 of 5 samples (60%)" in caught.value.what and "stages.sft.max_left_out allows" in caught.value.what
    )
    assert "'line'" in caught.value.what or "line[0]" in caught.value.what, "the commonest reason, by example"
    assert LEFT_OUT_FILE in caught.value.hint and len(named(tmp_path)) == 3
    assert not list((tmp_path / "stage").glob("checkpoint-*"))
    assert trained(tmp_path, settings, inputs, max_left_out=0.6)[0]["samples"] == 2


LINE_AGAIN = Sample("line-2", (picture(2, 700),), LINE.turns)


def test_a_stage_that_nothing_fits_says_so_whatever_is_allowed(models, tmp_path):
    stage = stage_of(tmp_path, models, [LINE, LINE_AGAIN])
    with pytest.raises(TrainingError, match=r"none of its 2 samples can be trained on.*600x2"):
        trained(tmp_path, *stage, max_left_out=1.0)


def test_the_end_that_is_cut_off_is_counted(models, tmp_path):
    talk = Sample("talk", (), (user("Say a."), assistant("a" * 300)))
    results, _ = trained(tmp_path, *stage_of(tmp_path, models, [good(0), talk]))
    assert results["cut"] == 1 and results["samples"] == 2


def test_turns_of_no_use_change_nothing(models, tmp_path):
    """A conversation that ends with the user, or in which the user speaks twice, trains its answers."""
    ends = Sample("ends", (), (user("Say a."), assistant("a"), user("More?")))
    twice = Sample("twice", (), (user("Say"), user("b."), assistant("b")))
    system = Turn("system", user("d").parts)
    told = Sample("told", (), (user("Say c."), assistant("c"), system, user("e"), assistant("f")))
    results, _ = trained(tmp_path, *stage_of(tmp_path, models, [ends, twice, told, good(1)]))
    assert results["samples"] == 4 and "left_out" not in results


def test_images_of_other_peoples_tars_are_decoded_before_the_training(models, tmp_path):
    import tarfile

    damaged = picture(64, 64)[:120]
    with tarfile.open(tmp_path / "foreign.tar", "w") as tar:
        for name, content in {"a": picture(40, 40), "b": damaged, "c": picture(44, 40)}.items():
            for extension, data in (("png", content), ("txt", b"a picture")):
                member = tarfile.TarInfo(f"{name}.{extension}")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    settings, inputs = stage_of(tmp_path, models, [good(0)])
    results, _ = trained(
        tmp_path, settings, inputs | {"data.rows": tmp_path / "foreign.tar"}, max_left_out=0.5
    )
    assert list(named(tmp_path)) == ["b"] and results["samples"] == 2


def test_a_mixture_without_some_keeps_the_order_of_the_others(tmp_path):
    parts = []
    for name in ("one", "two"):
        rows = [Sample(f"{name}-{n}", (), (user("?"), assistant(str(n)))) for n in range(4)]
        write_dataset(tmp_path / name, rows, name=name)
        parts.append((ViewedDataset(ShardDataset.open(tmp_path / name), View.parse("only(original)")), 1.0))
    mixture = Mixture(parts, seed=0)
    keys = [sample.key for sample in mixture]
    left = mixture.without([0, 5, 7])
    assert [sample.key for sample in left] == [key for n, key in enumerate(keys) if n not in (0, 5, 7)]
    assert left.counts == (3, 2) and len(mixture) == 8
    assert left.whence(3) == ("two through only(original)", left[3].key)


@pytest.mark.slow
def test_two_processes_leave_out_the_same(models, tmp_path):
    stage = stage_of(tmp_path, models, [good(0), LINE, *(good(n) for n in range(1, 8))])
    _, alone = trained(tmp_path, *stage)
    both = tmp_path / "both"
    both.mkdir()
    settings, inputs = stage
    results = train_in_processes(both, settings.model_copy(update={"processes": 2}), inputs, Board())
    together = load_file(both / "model" / "model.safetensors")
    assert results["left_out"]["count"] == 1 and results["steps"] == 4
    for name, values in together.items():
        torch.testing.assert_close(values, alone[name], rtol=1e-3, atol=1e-4)
