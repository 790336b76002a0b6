"""``vila2 data``: import, stats, preview and verify, as a user calls them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from vila2.cli.main import app
from vila2.data.layers import Annotation, LayerWriter
from vila2.data.sample import Sample, TextPart, Turn
from vila2.data.shards import ShardDataset

CAPTIONS = {"a": "a red square", "b": "a blue <square> & more, here", "c": "green"}


def vila2(*arguments: object, code: int = 0) -> str:
    result = CliRunner().invoke(app, ["data", *map(str, arguments)])
    assert result.exit_code == code, (result.output, result.exception)
    return result.stdout if "--json" in arguments else result.output


@pytest.fixture
def photos(tmp_path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for key, caption in CAPTIONS.items():
        Image.new("RGB", (20, 10), {"a": "red", "b": "blue", "c": "green"}[key]).save(folder / f"{key}.png")
        (folder / f"{key}.txt").write_text(caption)
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no more")
    (folder / "broken.txt").write_text("a torn photo")
    return folder


@pytest.fixture
def dataset(photos, tmp_path) -> Path:
    vila2("import", "folder", photos, "--out", tmp_path / "d")
    return tmp_path / "d"


def write_layer(folder: Path, keys: list[str]) -> None:
    writer = LayerWriter(folder, "self-1")
    rows = [Annotation(key, "Describe.", f"a long caption of {key}", "ok") for key in keys[:2]]
    writer.write_shard(0, [*rows, Annotation(keys[2], "Describe.", "", "empty")])
    writer.finish({})


def test_import_says_what_was_taken_and_what_not(photos, tmp_path):
    said = vila2("import", "folder", photos, "--out", tmp_path / "d")
    assert "3 samples in 1 shards" in said
    assert "rejected 1: corrupt-image 1" in said
    (line,) = (tmp_path / "d" / "rejected.jsonl").read_text().splitlines()
    assert json.loads(line)["key"] == "broken"
    again = vila2("import", "folder", photos, "--out", tmp_path / "d")  # as after a late Ctrl-C
    assert "was done before; --replace" in again and "3 samples in 1 shards" in again
    said = vila2("import", "folder", photos, "--out", tmp_path / "d", "--option", "count=1", code=2)
    assert "a dataset is there already" in said and "--replace" in said
    said = vila2(
        "import", "folder", photos, "--out", tmp_path / "d", "--replace", "--json", "--option", "count=2"
    )
    facts = json.loads(said)
    assert (facts["samples"], facts["rejected"]) == (2, {})


@pytest.mark.parametrize("content", ["{", "[]", '{"shards": 3}'])
def test_import_into_a_folder_with_a_damaged_dataset_says_what_to_do(dataset, photos, content):
    origin = json.loads((dataset / "dataset.json").read_text())["origin"]
    damaged = {**json.loads(content), "origin": origin} if content.endswith("3}") else content
    (dataset / "dataset.json").write_text(damaged if isinstance(damaged, str) else json.dumps(damaged))
    said = vila2("import", "folder", photos, "--out", dataset, code=2)
    assert "dataset.json: cannot be read" in said and "--replace" in said
    assert "3 samples" in vila2("import", "folder", photos, "--out", dataset, "--replace")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["foldr", "x"], "did you mean 'folder'"),
        (["folder", "nowhere"], "no such folder"),
        (["folder", "x", "--option", "cont=3"], "did you mean 'count'"),
        (["folder", "x", "--option", "count=three"], "not a value of type int"),
        (["folder", "x", "--option", "require_text=maybe"], "write true or false"),
        (["folder", "x", "--option", "count"], "has no value"),
    ],
)
def test_import_names_mistakes_and_the_mend(tmp_path, options, message):
    assert message in vila2("import", *options, "--out", tmp_path / "d", code=2)
    assert not (tmp_path / "d" / "dataset.json").exists()


def test_the_world_can_be_imported(tmp_path):
    said = vila2("import", "world", "-o", tmp_path / "w", "--option", "split=test", "--option", "count=3",
                 "--option", "content=instructions", "--option", 'prompts=["Look."]')  # fmt: skip
    assert "3 samples" in said
    assert ShardDataset.open(tmp_path / "w")[0].turns[1].text == "Look."


def test_stats_print_words_and_statuses_of_every_layer(dataset, tmp_path):
    keys = ShardDataset.open(dataset).keys()
    write_layer(dataset / "layers" / "self-1", keys)
    said = vila2("stats", dataset)
    assert "3.3 ± 2.1" in said  # 3, 6 and 1 words
    assert "5.0 ± 0.0" in said and "ok 66.7%, empty 33.3%" in said
    facts = json.loads(vila2("stats", dataset, "--json"))
    assert [layer["name"] for layer in facts["layers"]] == ["original", "self-1"]
    assert facts["layers"][1]["statuses"] == {"ok": 2, "empty": 1}
    assert facts["rejected"] == {"corrupt-image": 1}


def test_preview_shows_turns_and_what_a_view_makes_of_them(dataset, tmp_path):
    write_layer(tmp_path / "step", ShardDataset.open(dataset).keys())
    said = vila2("preview", dataset, "--count", 1)
    assert "a  [20x10]" in said and "* assistant a red square  (original)" in said
    view = ("--view", "concat(original,self-1)", "--layer", tmp_path / "step")
    said = vila2("preview", dataset, *view, "--start", 1, "-n", 5)
    assert "a long caption of b  (self-1)" in said
    assert "without a text of the layer: self-1 1" in said
    assert "a long caption of b" in vila2("preview", dataset, *view, "--key", "b")
    assert "no sample 'z'" in vila2("preview", dataset, "--key", "z", code=2)
    assert "no layer 'self-1'" in vila2("preview", dataset, *view[:2], code=2)
    assert "no sample from number 9 on" in vila2("preview", dataset, "--start", 9, code=2)


def test_the_page_is_self_contained_and_escapes_what_captions_say(dataset, tmp_path):
    vila2("preview", dataset, "--html", tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert page.count('src="data:image/png;base64,') == 3
    assert "<mark>a blue &lt;square&gt; &amp; more, here</mark>" in page
    assert "http" not in page.replace("http-equiv", "")


def test_verify_exits_with_one_where_something_is_broken(dataset):
    assert "all is well" in vila2("verify", dataset)
    write_layer(dataset / "layers" / "self-1", ["a", "b", "nobody"])
    said = vila2("verify", dataset, code=1)
    assert "'nobody'" in said and "1 problem" in said
    assert json.loads(vila2("verify", dataset, "--json", code=1))["problems"][0]["what"].startswith("1 keys")


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """A folder with a processor: words as tokens, pictures of 16x16 in patches of 8."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlavaProcessor, PreTrainedTokenizerFast
    from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

    words = ["<pad>", "<eos>", "<image>", "<unk>", "user", "assistant", ":", "a", "red", "square", "green"]
    tokenizer = Tokenizer(models.WordLevel({word: n for n, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>",
        additional_special_tokens=["<image>"],
    )  # fmt: skip
    template = (
        "{% for m in messages %}{{ m.role }}: {% for p in m.content %}"
        "{% if p.type == 'image' %}<image>{% else %}{{ p.text }}{% endif %}{% endfor %}<eos>{% endfor %}"
    )
    images = SiglipImageProcessorPil(size={"height": 16, "width": 16})
    folder = tmp_path_factory.mktemp("model")
    LlavaProcessor(
        images, fast, patch_size=8, vision_feature_select_strategy="full", chat_template=template
    ).save_pretrained(folder)
    (folder / "config.json").write_text(json.dumps({"model_type": "llava"}))
    return folder


def test_preview_with_a_model_shows_tokens_and_the_label_mask(dataset, model, tmp_path):
    said = vila2("preview", dataset, "--model", model, "--count", 1)
    assert "<image>×4" in said
    assert "4 of them trained" in said  # three words and the end of the turn
    assert "*     4  'a red square <eos>'" in said
    assert "'a red square" in vila2("preview", dataset, "--model", model, "--style", "plain", "-n", 1)
    vila2("preview", dataset, "--model", model, "--html", tmp_path / "page.html")
    assert "<mark>green" in (tmp_path / "page.html").read_text()
    assert "unknown style" in vila2("preview", dataset, "--model", model, "--style", "chatty", code=2)


def test_the_picture_is_shown_as_the_model_gets_it(model):
    import io

    from vila2.data.sample import ImagePart, assistant, user
    from vila2.report.preview import preview_samples

    buffer = io.BytesIO()
    Image.new("RGB", (40, 20), (200, 100, 0)).save(buffer, "PNG")
    shown = Sample("k", (buffer.getvalue(),), (user(ImagePart()), assistant("a")))
    silent = Sample("s", (buffer.getvalue(),), (user(ImagePart()),))
    words = Sample("w", (), (user("a"), Turn("assistant", (TextPart("red"),))))
    first, second, third = preview_samples([shown, silent, words], str(model), "chat")
    assert first.images[0].size == (16, 16)
    assert all(abs(a - b) <= 1 for a, b in zip(first.images[0].getpixel((5, 5)), (200, 100, 0), strict=True))
    assert "no turn to train on" in second.problem and second.images[0].size == (40, 20)
    assert third.images == () and third.runs is not None
