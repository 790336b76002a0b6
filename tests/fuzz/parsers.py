"""The parsers: each takes any bytes, and has examples of sound input to begin with."""

from __future__ import annotations

import atexit
import json
import shutil
import tempfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.fuzz.examples import (
    CLAIM,
    COCO,
    DATASET,
    FULL_ROW,
    INSTRUCTION,
    LAYER,
    LLAVA,
    MMC4,
    OWN,
    PHOTO,
    PROGRESS,
    RECIPE,
    REPLIES,
    RESULTS,
    ROW,
    SOUND_RECIPE,
    TEXTS,
    TURNS,
    checksummed,
    lines,
    parquet,
    picture,
    tar,
)
from vila2.errors import Vila2Error


@dataclass(frozen=True)
class Parser:
    """One of them.

    Attributes:
        read: reads bytes; whatever it raises besides a ``Vila2Error`` is a fault.
        examples: sound input.
    """

    read: Callable[[bytes], object]
    examples: tuple[bytes, ...]


@cache
def place() -> Path:
    """A folder for input that is read from files."""
    folder = tempfile.mkdtemp(prefix="vila2-fuzz-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def put(data: bytes, name: str) -> Path:
    """Writes a file of the input."""
    path = place() / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def check(parser: Parser, data: bytes) -> str:
    """Reads input; gives the name of an unnamed exception with the place that raised it, or ""."""
    try:
        parser.read(data)
    except Vila2Error:
        return ""
    except Exception as error:
        trace = error.__traceback__
        own = ""
        while trace is not None:
            code = trace.tb_frame.f_code
            if "vila2" in code.co_filename and "tests" not in code.co_filename:
                own = f"{Path(code.co_filename).name}:{trace.tb_lineno} {code.co_name}"
            trace = trace.tb_next
        return f"{type(error).__name__} at {own}"
    return ""


def _tar(data: bytes) -> None:
    from vila2.data.shards import ShardDataset

    path = put(data, "tar/a.tar")
    path.with_suffix(".index").unlink(missing_ok=True)
    for sample in ShardDataset.open(path):
        [turn.text for turn in sample.turns]


def _member(data: bytes) -> None:
    from vila2.data.tar_sample import has_text, pack_sample, unpack_sample

    sample = unpack_sample("a", [("jpg", picture()), ("json", data), ("txt", data[:20])], where="a.tar")
    has_text(sample)
    with suppress(UnicodeEncodeError):  # said in its contract
        pack_sample(sample)


def _index(data: bytes) -> None:
    from vila2.data.offset_index import OffsetIndex

    index = OffsetIndex.from_bytes(data, where="a.index")
    index.keys()
    [index.members(place) for place in range(len(index))]


def _fixed_index(data: bytes) -> None:
    """An index whose checksum is right, whatever its header says."""
    parts = data.split(b"\n", 2)
    if len(parts) == 3:
        try:
            header = json.loads(parts[1])
            header["crc32"] = zlib.crc32(parts[2])
        except (ValueError, TypeError, RecursionError):
            return
        _index(b"\n".join([parts[0], json.dumps(header).encode(), parts[2]]))


def _dataset(data: bytes) -> None:
    from vila2.data.shards import ShardDataset

    if not (place() / "dataset/shards/a.tar").exists():
        put(bytes(10), "dataset/shards/a.tar")
    dataset = ShardDataset.open(put(data, "dataset/dataset.json").parent)
    len(dataset), dataset.digest, dataset.rejected


def _layer(data: bytes) -> None:
    from vila2.data.layers import Layer

    put(b"", "layer/000000.parquet")
    layer = Layer.open(put(data, "layer/layer.json").parent)
    layer.shard_files(), dict(layer.statuses), layer.info.get("settings")


def _parquet_layer(data: bytes) -> None:
    from vila2.data.annotations import read_rows, summarize

    summarize(read_rows(put(data, "rows.parquet")))


def _row(data: bytes) -> None:
    """A row of a layer whose columns hold anything: turns and claims are JSON there."""
    from vila2.data.annotations import from_columns, summarize

    text = data.decode("utf-8", "replace")
    nested = {"turns": text if "parts" in text else None, "claims": None if "parts" in text else text}
    summarize([from_columns(ROW | nested, where="row.parquet")])


def _journal(data: bytes) -> None:
    from vila2.data.annotations import Annotation
    from vila2.data.journal import Journal
    from vila2.data.parsing import parsing

    journal = Journal(put(data, "a.jsonl"))
    with parsing("a.jsonl", hint=""):
        [Annotation.from_json(row) for batch in journal.entries for row in batch]


def _captions(data: bytes) -> None:
    from vila2.caption.photo_output import PhotoOutput

    output = PhotoOutput(put(data, "captions.jsonl"))
    output.check_replaceable(restart=True)
    output.rows()
    list(output.annotations())


def _captions_meta(data: bytes) -> None:
    from vila2.caption.photo_output import PhotoOutput

    output = PhotoOutput(put(b'{"key"', "meta/captions.jsonl"))
    put(data, "meta/captions.jsonl.meta.json")
    output.check({"seed": 1, "settings": {"a": 1}})


def _rejects(data: bytes) -> None:
    from vila2.data.rejects import read_rejects, tally_rejects

    str(tally_rejects(read_rejects(put(data, "rejected.jsonl"))))


def _source(name: str, file: str) -> Callable[[bytes], None]:
    def read(data: bytes) -> None:
        from vila2.data.sample_checks import checked_samples
        from vila2.sources import open_source

        list(checked_samples(open_source(name, path=str(put(data, f"{name}/{file}")))))

    return read


def _image(data: bytes) -> None:
    from vila2.data.images import check_image, decode_image, image_size

    for read in (image_size, check_image, decode_image):
        try:
            read(data, where="a.jpg")
        except Vila2Error:
            continue


def _yaml(data: bytes) -> None:
    from vila2.recipe.file.yaml import read_yaml

    read_yaml(data.decode("utf-8", "replace"), where="r.yaml", environment={})


def _recipe(data: bytes) -> None:
    from vila2.recipe.file.recipe_file import load_recipe

    load_recipe(put(data, "r.yaml"))


def _setting(data: bytes) -> None:
    from vila2.recipe.file.yaml import read_setting

    read_setting(data.decode("utf-8", "replace"), where="--set", environment={})


def _coordinates(data: bytes) -> None:
    from vila2.data.coordinates import CoordinateScheme

    text = data.decode("utf-8", "replace")
    scheme = CoordinateScheme()
    scheme.parse(text), scheme.parse_points(text), scheme.to_parts(text)


def _claims(data: bytes) -> None:
    from vila2.claims.names import Vocabulary
    from vila2.claims.reading import read_claims
    from vila2.claims.self_consistency import contradiction
    from vila2.claims.sentences import sentence_spans

    text = data.decode("utf-8", "replace")
    for start, end in sentence_spans(text):
        read_claims(text[start:end], Vocabulary.of(["cat", "red cube"]))
    contradiction(text)


def _view(data: bytes) -> None:
    from vila2.data.views import View

    View.parse(data.decode("utf-8", "replace"))


def _done(data: bytes) -> None:
    from vila2.run.step_files import read_done

    read_done(put(data, "step/done.json").parent)


def _status(data: bytes) -> None:
    from vila2.run.status import status

    put(b"name: a\n", "run/recipe.yaml")
    status(put(data, "run/progress.json").parent).to_json()


def _marks(data: bytes) -> None:
    from vila2.engine.marks import mark
    from vila2.engine.protocol import Answer

    text = data.decode("utf-8", "replace")
    mark(Answer(text, "stop", len(text.split())))


def _weights(data: bytes) -> None:
    from vila2.model.digest import digest_folder

    digest_folder(put(data, "weights/model.safetensors").parent)


def _checkpoint_json(data: bytes) -> None:
    from vila2.model.checkpoint_files import read_json

    read_json(put(data, "checkpoint/config.json"))


def _reply(data: bytes) -> None:
    from vila2.engine.chat_messages import WrongReply, read_completion, told

    told(data)
    with suppress(WrongReply):  # the engine asks again
        read_completion(data)


def _retry_after(data: bytes) -> None:
    from vila2.engine.openai_engine import retry_after

    retry_after(data.decode("latin-1"), most=60)


def _results(data: bytes) -> None:
    from vila2.report.results_page import read_results

    read_results(put(data, "results.json"))


def _weights_example() -> bytes:
    entries = {
        "a": {"dtype": "F32", "shape": [2, 1], "data_offsets": [0, 8]},
        "__metadata__": {"format": "pt"},
    }
    header = json.dumps(entries).encode()
    return len(header).to_bytes(8, "little") + header + bytes(8)


def _index_example() -> bytes:
    from vila2.data.offset_index import index_tar

    return index_tar(put(tar(("a.jpg", picture()), ("a.txt", b"cat")), "example.tar")).to_bytes()


@cache
def parsers() -> dict[str, Parser]:
    """All of them by name."""
    small = picture()
    return {
        "tar": Parser(
            _tar,
            (tar(("a.jpg", small), ("a.txt", b"cat")), tar(("a/b.0.png", picture("PNG")), ("a/b.json", OWN))),
        ),
        "tar-member": Parser(_member, (OWN, b'{"caption": "cat", "status": "success"}')),
        "index": Parser(_index, (_index_example(),)),
        "index-header": Parser(_fixed_index, (_index_example(),)),
        "dataset.json": Parser(_dataset, (json.dumps(DATASET).encode(),)),
        "layer.json": Parser(_layer, (json.dumps(LAYER).encode(),)),
        "layer-parquet": Parser(_parquet_layer, (parquet([ROW | {"turns": "[]", "claims": "[]"}]),)),
        "layer-row": Parser(_row, (json.dumps(TURNS).encode(), json.dumps([CLAIM]).encode())),
        "journal": Parser(_journal, (checksummed([FULL_ROW]) + checksummed([ROW]),)),
        "captions": Parser(_captions, (lines(PHOTO, PHOTO),)),
        "captions-meta": Parser(
            _captions_meta, (json.dumps({"seed": 0, "settings": {"a": 1}, "prompts": []}).encode(),)
        ),
        "rejects": Parser(_rejects, (lines({"where": "a", "key": "k", "reason": "r", "detail": ""}),)),
        "rows-jsonl": Parser(
            _source("captions", "rows.jsonl"), (lines({"image": "a.jpg", "caption": "cat"}),)
        ),
        "rows-json": Parser(
            _source("captions", "rows.json"),
            (json.dumps({"data": [{"image": "a.jpg", "caption": "c"}]}).encode(), json.dumps(COCO).encode()),
        ),
        "rows-csv": Parser(
            _source("captions", "rows.csv"),
            (b"image,caption\na.jpg,cat\n", "\ufeffimage\tcaption\na\tb\n".encode("utf-16")),
        ),
        "rows-parquet": Parser(
            _source("captions", "rows.parquet"),
            (parquet([{"image": {"bytes": small, "path": "a"}, "caption": "c"}]),),
        ),
        "llava": Parser(_source("llava", "llava.json"), (json.dumps(LLAVA).encode(),)),
        "instructions": Parser(_source("instructions", "i.jsonl"), (lines(INSTRUCTION),)),
        "mmc4": Parser(_source("mmc4", "docs.jsonl"), (lines(MMC4),)),
        "evidence-coco": Parser(_source("evidence", "coco.json"), (json.dumps(COCO).encode(),)),
        "evidence-rows": Parser(
            _source("evidence", "rows.jsonl"),
            (
                lines(
                    {
                        "image": "a.jpg",
                        "objects": [{"name": "cat", "box": [1, 1, 2, 2]}],
                        "texts": [{"text": "go", "box": [1, 2, 3, 4]}],
                    }
                ),
            ),
        ),
        "evidence-paddle": Parser(
            _source("evidence", "Label.txt"),
            (b'a.jpg\t[{"transcription": "go", "points": [[1,1],[2,1],[2,2],[1,2]]}]\n',),
        ),
        "img2dataset": Parser(
            _source("img2dataset", "00000.tar"),
            (
                tar(
                    ("0.jpg", small),
                    ("0.txt", b"cat"),
                    ("0.json", b'{"caption": "cat", "status": "success"}'),
                ),
            ),
        ),
        "image": Parser(
            _image,
            tuple(picture(kind) for kind in ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "ICO")),
        ),
        "yaml": Parser(_yaml, (RECIPE, b"a: &a [1, 2]\nb: {<<: {c: 1}, d: *a, e: .nan}\n")),
        "recipe": Parser(_recipe, (RECIPE, SOUND_RECIPE)),
        "setting": Parser(_setting, (b"[1, 2]", b"{a: b}", b"1e-3")),
        "coordinates": Parser(_coordinates, TEXTS),
        "claims": Parser(_claims, TEXTS),
        "view": Parser(_view, (b"concat(original,self-1)", b"dialogue(merged)")),
        "done.json": Parser(_done, (json.dumps({"results": {}, "digest": "0"}).encode(),)),
        "progress.json": Parser(_status, (json.dumps(PROGRESS).encode(),)),
        "answer-marks": Parser(_marks, TEXTS),
        "safetensors": Parser(_weights, (_weights_example(),)),
        "checkpoint.json": Parser(_checkpoint_json, (json.dumps({"model_type": "llava"}).encode(),)),
        "server-reply": Parser(_reply, tuple(json.dumps(reply).encode() for reply in REPLIES)),
        "retry-after": Parser(_retry_after, (b"120", b"Fri, 31 Dec 1999 23:59:59 GMT")),
        "results.json": Parser(_results, (json.dumps(RESULTS).encode(),)),
    }
