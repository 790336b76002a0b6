"""Images that a model refuses, and samples without images: marked or left alone; the others are described."""

import copy
import io
import logging

import pytest
from PIL import Image

from tests.model.tiny_families import FAMILIES
from vila2.caption.asked_captions import annotate
from vila2.caption.recaption import recaption
from vila2.data.sample import ImagePart, Sample, assistant, user
from vila2.data.shards import ShardDataset, write_dataset
from vila2.engine.protocol import GenerationSettings, Request, RequestsRefused
from vila2.engine.transformers_engine import TransformersEngine, open_transformers
from vila2.errors import DataError, EngineError
from vila2.evaluate.asking import ask_all
from vila2.recipe.parts.evaluate import BenchmarkSpec
from vila2.report.preview import preview_samples, text
from vila2.report.preview_page import page
from vila2.run.board import Board

SETTINGS = GenerationSettings(max_new_tokens=5)
TEMPLATE = (
    "{% for m in messages %}{{ m.role }}:{% for p in m.content %}{% if p.type == 'image' %}"
    "<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ p.text }}{% endif %}{% endfor %}<s>{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% endif %}"
)


def picture(width: int, height: int, shade: int = 0) -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (width, height), (shade, 90, 200)).save(data, "PNG")
    return data.getvalue()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Qwen2-VL refuses pictures of more than 200:1."""
    folder = tmp_path_factory.mktemp("model") / "qwen2_vl"
    FAMILIES["qwen2_vl"][0](folder)
    (folder / "chat_template.jinja").write_text(TEMPLATE)
    return folder


@pytest.fixture(scope="module")
def engine(folder) -> TransformersEngine:
    return open_transformers(folder, device="cpu")


GOOD = [Request(f"good-{n}", (picture(60 + 9 * n, 50, 60 * n),), "Describe it.") for n in range(4)]
LINE = Request("line", (picture(600, 2),), "Describe it.")
TORN = Request("torn", (picture(60, 60)[:90],), "Describe it.")


def test_a_picture_that_the_model_refuses_is_marked_and_the_others_are_answered_as_without_it(engine):
    rows = annotate(engine, [GOOD[0], LINE, *GOOD[1:3], TORN, GOOD[3]], SETTINGS)
    found = {row.key: row for row in rows}
    assert [row.key for row in rows] == ["good-0", "line", "good-1", "good-2", "torn", "good-3"]
    assert found["line"].status == found["torn"].status == "error"
    assert "600x2" in found["line"].detail and "aspect ratio" in found["line"].detail
    assert "decoded" in found["torn"].detail
    without = annotate(engine, GOOD, SETTINGS)
    assert [row for row in rows if row.status != "error"] == without


def test_a_request_says_which_of_a_batch_can_not_be_answered(engine):
    with pytest.raises(RequestsRefused) as caught:
        engine.generate([GOOD[0], LINE], SETTINGS)
    assert caught.value.reasons.keys() == {1}


def test_an_engine_that_fails_at_every_picture_is_an_error_and_not_a_layer_of_errors(folder):
    broken = open_transformers(folder, device="cpu")
    broken.processor.image_processor.patch_size = 0
    with pytest.raises(EngineError, match="cannot be asked at all"):
        annotate(broken, GOOD, SETTINGS)


def test_a_benchmark_counts_no_answer_as_an_empty_one_and_says_whose(engine, caplog):
    benchmark = BenchmarkSpec(name="captions", kind="captions", dataset="d", batch_size=3, max_new_tokens=5)
    with caplog.at_level(logging.WARNING, "vila2"):
        answers = ask_all(engine, [GOOD[0], LINE, GOOD[1]], benchmark, Board())
    assert answers[1].text == "" and answers[0].tokens and answers[2].tokens
    (told,) = [record.getMessage() for record in caplog.records]
    assert told.startswith("benchmark captions: no answer about line") and "600x2" in told


def dataset(folder, *samples: Sample) -> ShardDataset:
    write_dataset(folder, samples, name="set", shard_size=3)
    return ShardDataset.open(folder)


def shown(key: str, image: bytes) -> Sample:
    return Sample(key, (image,), (user(ImagePart(0)), assistant(f"original {key}")))


def told(key: str) -> Sample:
    return Sample(key, (), (user("Say it."), assistant(f"said {key}")))


def written(engine, data: ShardDataset, name: str, **changes):
    job = {"prompts": ["long-v1"], "settings": SETTINGS, "seed": 0, "batch_size": 2} | changes
    return recaption(data, engine, folder=data.folder / "layers" / name, layer=name, **job)


def test_samples_without_an_image_are_left_alone_and_counted(engine, tmp_path):
    pictures = [shown(request.key, request.images[0]) for request in (*GOOD[:2], LINE, GOOD[2])]
    mixed = dataset(tmp_path / "mixed", told("a"), *pictures[:2], told("b"), told("c"), *pictures[2:])
    assert mixed.without_image() == {"a", "b", "c"}
    assert [mixed.shard_images(n).tolist() for n in range(3)] == [[0, 1, 1], [0, 0, 1], [1]]
    layer = written(engine, mixed, "self-1")
    alone = written(engine, dataset(tmp_path / "alone", *pictures), "self-1")
    assert [row.key for row in layer.rows()] == ["good-0", "good-1", "line", "good-2"]
    assert list(layer.rows()) == list(alone.rows()) and layer.statuses["error"] == 1
    assert layer.info["without_image"] == 3 and "without_image" not in alone.info
    assert written(engine, mixed, "self-1").digest == layer.digest, "a finished layer stays"


def test_a_dataset_of_texts_has_nothing_to_describe(engine, tmp_path):
    with pytest.raises(DataError, match="none of the 2 samples has an image"):
        written(engine, dataset(tmp_path / "texts", told("a"), told("b")), "self-1")


def test_the_preview_shows_what_a_model_can_not_be_shown(folder, tmp_path):
    samples = [shown("fine", picture(60, 50)), shown("line", picture(600, 2)), shown("torn", TORN.images[0])]
    previews = preview_samples(samples, str(folder), "chat")
    assert [preview.runs is None for preview in previews] == [False, True, True]
    assert "600x2" in previews[1].problem and "decoded" in previews[2].problem
    data = dataset(tmp_path / "set", samples[0])
    for whole in (page("set", "3 samples", previews), text(data, "3 samples", previews)):
        assert "aspect ratio" in whole and "torn[0]" in whole
    assert preview_samples(samples[2:], None, "chat")[0].problem


def test_likelihoods_are_measured_of_what_can_be_read(engine, caplog):
    from vila2.evaluate.kinds.image_text import OwnLikelihood

    scorer = OwnLikelihood(engine.model, engine.processor, "Describe it.")
    samples = [shown("fine", picture(60, 50)), shown("line", picture(600, 2))]
    with caplog.at_level(logging.WARNING, "vila2"):
        assert [sample.key for sample in scorer.readable(samples)] == ["fine"]
    assert "600x2" in caplog.text
    with pytest.raises(DataError, match="600x2"):
        scorer.readable(samples[1:])


def test_a_refusal_survives_the_way_between_processes():
    refused = copy.copy(RequestsRefused({2: "too long"}))  # as it is sent
    assert refused.reasons == {2: "too long"} and refused.what == "too long"
