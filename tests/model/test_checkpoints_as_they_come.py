"""Broken checkpoints, as downloads and other programs leave them: the error names the file."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.families import tiny
from tests.model.tiny_models import save_language, save_tower
from vila2.errors import ModelError
from vila2.evaluate.measures.dual_encoder import DualEncoder
from vila2.model.assemble import assemble
from vila2.model.generalist import load_generalist, load_processor
from vila2.model.outline import outline, outline_of_parts
from vila2.model.saving import save_model

POINTER = (
    b"version https://git-lfs.github.com/spec/v1\n"
    b"oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\n"
    b"size 178288\n"
)
WEIGHTS = "model.safetensors"
Harm = Callable[[Path], object]


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("checkpoint") / "whole"
    tiny.FAMILIES["llava"](folder)
    return folder


@pytest.fixture
def checkpoint(whole, tmp_path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "some-vlm"))


def cut(file: Path, size: int) -> None:
    file.write_bytes(file.read_bytes()[:size])


def change_weights(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    found = load_file(folder / WEIGHTS)
    found = change(found) or found
    save_file({name: value.contiguous() for name, value in found.items()}, folder / WEIGHTS, {"format": "pt"})


def drop(name: str) -> Harm:
    def harm(folder: Path) -> None:
        change_weights(folder, lambda weights: {k: v for k, v in weights.items() if name not in k})

    return harm


def rename(folder: Path) -> None:
    """The names of the original LLaVA's code."""
    change_weights(
        folder,
        lambda weights: {
            k.replace("language_model.", "").replace("multi_modal_", "mm_"): v for k, v in weights.items()
        },
    )


def fill(name: str, value: float) -> Harm:
    def change(weights: dict[str, torch.Tensor]) -> None:
        next(weight for key, weight in weights.items() if name in key)[0].fill_(value)

    return lambda folder: change_weights(folder, change)


def empty_shares(folder: Path) -> None:
    change_weights(folder, lambda weights: {k: v[:0] if "mlp" in k else v for k, v in weights.items()})


def into_shards(folder: Path, missing: bool = True) -> None:
    found = load_file(folder / WEIGHTS)
    (folder / WEIGHTS).unlink()
    files = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    places = {name: files[number % 2] for number, name in enumerate(sorted(found))}
    for file in files[: 1 if missing else 2]:
        save_file({k: v for k, v in found.items() if places[k] == file}, folder / file, {"format": "pt"})
    (folder / f"{WEIGHTS}.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))


def without_index(folder: Path) -> None:
    into_shards(folder, missing=False)
    (folder / f"{WEIGHTS}.index.json").unlink()


def adapter(folder: Path, keep: tuple[str, ...] = ()) -> None:
    (folder / WEIGHTS).rename(folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "org/base"}))
    for file in folder.glob("*.json"):
        if file.name != "adapter_config.json" and file.name not in keep:
            file.unlink()


def shares_only(folder: Path) -> None:
    (folder / WEIGHTS).unlink()
    (folder / "global_step40").mkdir()
    (folder / "zero_to_fp32.py").write_text("")


def pickles_only(folder: Path) -> None:
    (folder / WEIGHTS).rename(folder / "pytorch_model.bin")


def settings(name: str, **changes: object) -> Harm:
    def harm(folder: Path) -> None:
        found = json.loads((folder / name).read_text()) | changes
        (folder / name).write_text(json.dumps({k: v for k, v in found.items() if v is not None}))

    return harm


def fewer_layers(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["text_config"] |= {"num_hidden_layers": 1, "layer_types": None}
    (folder / "config.json").write_text(json.dumps(config))


def wider(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["text_config"]["intermediate_size"] = 64
    (folder / "config.json").write_text(json.dumps(config))


def one_token_more(folder: Path) -> None:
    file = folder / "tokenizer.json"
    found = json.loads(file.read_text())
    vocabulary = found["model"]["vocab"]
    vocabulary["<beyond>"] = len(vocabulary)
    file.write_text(json.dumps(found))


def write(name: str, content: bytes) -> Harm:
    return lambda folder: (folder / name).write_bytes(content)


def dangling(folder: Path, name: str = WEIGHTS) -> None:
    """As a cache of the hub is left by a copy that does not follow links."""
    (folder / name).unlink()
    (folder / name).symlink_to("../../blobs/abc")


def wrapped(prefix: str) -> Harm:
    return lambda folder: change_weights(folder, lambda weights: {prefix + k: v for k, v in weights.items()})


def remove(*names: str) -> Harm:
    return lambda folder: [(folder / name).unlink() for name in names]


CASES: dict[str, tuple[Harm, str]] = {
    "pointer": (write(WEIGHTS, POINTER), r"model.safetensors is a Git LFS pointer[\s\S]*git lfs pull"),
    "empty": (write(WEIGHTS, b""), r"model.safetensors is empty"),
    "page": (write(WEIGHTS, b"<!DOCTYPE html><html>Sign in</html>"), r"model.safetensors is a web page"),
    "noise": (write(WEIGHTS, b"\xff" * 400), r"model.safetensors is not a safetensors file"),
    "cut": (lambda folder: cut(folder / WEIGHTS, 40_000), r"truncated: it has 40,000 of [\d,]+ bytes"),
    "cut in header": (lambda folder: cut(folder / WEIGHTS, 200), r"truncated in its header"),
    "no file of the index": (into_shards, r"1 of the 2 files .*model-00002-of-00002.safetensors"),
    "no index": (without_index, r"neither model.safetensors nor .*index.json[\s\S]*hint: download"),
    "no weights": (remove(WEIGHTS), r"has no weights"),
    "adapter": (adapter, r"no config.json.* adapter of org/base[\s\S]*merge_and_unload"),
    "adapter with config": (
        lambda folder: adapter(folder, keep=("config.json", "preprocessor_config.json", "tokenizer.json")),
        r"an adapter of org/base and no weights of the model itself[\s\S]*merge_and_unload",
    ),
    "shares": (shares_only, r"shares of a DeepSpeed training[\s\S]*zero_to_fp32"),
    "ungathered": (empty_shares, r"is \[0, \d+\] where[\s\S]*ZeRO-3"),
    "pickles": (pickles_only, r"only as pickle files \(pytorch_model.bin\)"),
    "no projector": (drop("multi_modal_projector"), r"do not fit.*4 missing: model.multi_modal_projector"),
    "other names": (rename, r"do not fit[\s\S]*hint: the names belong to another code base"),
    "fewer layers": (fewer_layers, r"of no use to it: \S*layers\.1\.[\s\S]*number of layers"),
    "other sizes": (wider, r"mlp\S* is \[\d+, \d+\] where \[\d+, \d+\] is expected and \d+ more"),
    "nan": (fill("lm_head", float("nan")), r"no numbers \(NaN or infinity\): lm_head.weight"),
    "infinity": (fill("embed_tokens", float("inf")), r"no numbers .*embed_tokens"),
    "token beyond": (one_token_more, r"1 token beyond the \d+ rows .*'<beyond>', number \d+"),
    "image token": (
        settings("config.json", image_token_index=3),
        r"image_token_id 3, and the processor writes '<image>'",
    ),
    "config with comment": (
        write("config.json", b'{ // mine\n "model_type": "llava"}'),
        r"config.json is not valid JSON",
    ),
    "config list": (write("config.json", b"[]"), r"config.json does not hold a JSON object but a list"),
    "config pointer": (write("config.json", POINTER), r"config.json is a Git LFS pointer"),
    "no model type": (settings("config.json", model_type=None), r"names no model_type"),
    "unknown type": (
        settings("config.json", model_type="grand_vlm"),
        r"grand_vlm[\s\S]*hint: check model_type",
    ),
    "own code": (
        settings("config.json", model_type="grand_vlm", auto_map={"AutoConfig": "configuration_x.Config"}),
        r"hint: the model has its own code, which is not run",
    ),
    "original config": (
        settings("config.json", mm_vision_tower="clip"),
        r"format of the original LLaVA code",
    ),
    "no processor": (remove("preprocessor_config.json", "processor_config.json"), r"has no image processor"),
    "no tokenizer": (remove("tokenizer.json", "tokenizer_config.json"), r"has no tokenizer"),
    "tokenizer pointer": (write("tokenizer.json", POINTER), r"tokenizer.json is a Git LFS pointer"),
    "dangling link": (dangling, r"model.safetensors is a link to \S*blobs/abc, which does not exist"),
    "config link": (lambda folder: dangling(folder, "config.json"), r"config.json is a link to"),
    "sentencepiece pointer": (write("tokenizer.model", POINTER), r"tokenizer.model is a Git LFS pointer"),
    "no head": (drop("lm_head"), r"1 missing: lm_head.weight[\s\S]*tie_word_embeddings"),
    "wrapped": (wrapped("base_model.model."), r"do not fit[\s\S]*merge_and_unload"),
    "compiled": (wrapped("_orig_mod."), r"do not fit[\s\S]*torch.compile"),
    "tokenizer cut": (lambda folder: cut(folder / "tokenizer.json", 900), r"cannot load the processor of"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_is_wrong_is_named(checkpoint, case: str) -> None:
    harm, said = CASES[case]
    harm(checkpoint)
    with pytest.raises(ModelError, match=said) as raised:
        load_generalist(checkpoint, device="cpu")
    assert "some-vlm" in raised.value.what and raised.value.hint


def test_the_report_of_transformers_is_said_once_and_in_our_words(checkpoint, caplog) -> None:
    drop("multi_modal_projector")(checkpoint)
    with pytest.raises(ModelError):
        load_generalist(checkpoint, device="cpu")
    assert "LOAD REPORT" not in caplog.text


def test_a_weight_too_many_is_left_out_and_told(checkpoint, caplog) -> None:
    change_weights(checkpoint, lambda weights: weights.update({"vision_head.weight": torch.zeros(2)}))
    load_generalist(checkpoint, device="cpu")
    assert "1 not of this model: vision_head.weight; they are left out" in caplog.text


def test_whole_checkpoints_of_several_files_and_in_half_precision_load(checkpoint, whole) -> None:
    change_weights(checkpoint, lambda weights: {name: value.half() for name, value in weights.items()})
    into_shards(checkpoint, missing=False)
    ours, theirs = (load_generalist(f, device="cpu").model.state_dict() for f in (checkpoint, whole))
    assert all(torch.equal(ours[name], theirs[name].half()) for name in theirs)


@pytest.mark.parametrize("case", [name for name in CASES if name not in ("nan", "infinity")])
def test_a_dry_run_finds_it_without_reading_the_weights(checkpoint, case: str) -> None:
    harm, said = CASES[case]
    harm(checkpoint)
    with pytest.raises(ModelError, match=said):
        outline(checkpoint)


def test_the_processor_alone_needs_no_weights(checkpoint) -> None:
    (checkpoint / WEIGHTS).unlink()
    assert load_processor(checkpoint).image_processor is not None


@pytest.mark.parametrize("part", ["vision", "language"])
@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (drop("layers.1.") , r"do not fit.* missing: "),
        (lambda folder: cut(folder / WEIGHTS, 30_000), r"is truncated"),
        (fill("mlp", float("nan")), r"no numbers"),
    ],
)  # fmt: skip
def test_parts_of_a_new_model_must_be_whole_as_well(tmp_path, part: str, harm: Harm, said: str) -> None:
    parts = {
        "vision": save_tower(tmp_path / "vision", "siglip_vision_model"),
        "language": save_language(tmp_path / "language", "llama"),
    }
    harm(parts[part])
    with pytest.raises(ModelError, match=said):
        assemble(parts["vision"], parts["language"])
    if said != "no numbers":
        with pytest.raises(ModelError, match=said):
            outline_of_parts(parts["vision"], parts["language"])


def test_a_tower_without_the_head_that_nobody_uses(tmp_path) -> None:
    tower = save_tower(tmp_path / "vision", "siglip_vision_model")
    drop("head.")(tower)
    assemble(tower, save_language(tmp_path / "language", "llama"))


def test_a_scorer_must_be_whole_as_well(tmp_path) -> None:
    from transformers import CLIPConfig, CLIPModel

    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = CLIPConfig(text_config=sizes, vision_config=sizes | {"image_size": 28, "patch_size": 14})
    CLIPModel(config).save_pretrained(tmp_path)
    drop("visual_projection")(tmp_path)
    with pytest.raises(ModelError, match=r"image-text scorer .* 1 missing: visual_projection"):
        DualEncoder(tmp_path)


def test_a_model_with_weights_that_are_no_numbers_is_not_saved(whole, tmp_path) -> None:
    found = load_generalist(whole, device="cpu")
    found.model.get_output_embeddings().weight.data[3, 5] = float("nan")
    with pytest.raises(ModelError, match=r"lm_head.weight[\s\S]*hint: lower the stage's learning_rate"):
        save_model(found.model, found.processor, tmp_path / "model")
    assert not list(tmp_path.iterdir())
