"""The jobs that write data and captions, made small: imports, captions, annotations, a merge, checks."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image

from tests.kill.trials import ASKED, Job
from vila2.caption.layer_redo import redo_layer
from vila2.caption.photos import recaption_photos
from vila2.caption.recaption import recaption
from vila2.data.annotations import Annotation
from vila2.data.images import decode_image
from vila2.data.importing import write_dataset
from vila2.data.layers import Layer, original_layer, write_layer
from vila2.data.rejects import Reject
from vila2.data.replacement import settle_replacement
from vila2.data.resumable import Pieces
from vila2.data.sample import ImagePart, Sample, assistant, user
from vila2.data.shards import ShardDataset
from vila2.data.verification import verify_dataset
from vila2.engine.protocol import Answer, GenerationSettings, Request
from vila2.errors import DataError
from vila2.merge.merging import merge_layers
from vila2.recipe.parts.specialists import MergeSpec
from vila2.sources import open_source
from vila2.specialist.annotating import annotate_dataset
from vila2.specialist.made import MadeSpecialist

COUNT, SHARD, BATCH = 7, 3, 2
SHORT, LONG = 2, 20


class Echo:
    """Says the key and the prompt, and notes in a file what it was asked."""

    name, digest = "echo", "0" * 64

    def __init__(self, folder: Path) -> None:
        self.asked = folder / ASKED

    def generate(self, requests: Sequence[Request], settings: GenerationSettings) -> list[Answer]:
        """Answers with as many words as the settings allow."""
        answers = []
        for request in requests:
            decode_image(request.images[0], where=request.key)
            words = f"A picture of {request.key}. {request.prompt}".split()
            cut = words[: settings.max_new_tokens]
            answers.append(Answer(" ".join(cut), "stop" if cut == words else "length", len(cut)))
        with self.asked.open("a") as file:
            file.writelines(f"{request.key}\n" for request in requests)
        return answers


def picture(number: int) -> bytes:
    """A small JPEG, another for each number."""
    buffer = io.BytesIO()
    Image.new("RGB", (16, 12), (number * 30 % 256, 90, 120)).save(buffer, "JPEG")
    return buffer.getvalue()


def samples(first: int = 0) -> list[Sample | Reject]:
    """Samples with a caption each, and a reject among them."""
    found: list[Sample | Reject] = [
        Sample(f"k{n}", (picture(first + n),), (user(ImagePart()), assistant(f"Thing number {first + n}.")))
        for n in range(COUNT)
    ]
    return [*found[:4], Reject("rows:5", "k-", "missing-text", "no text"), *found[4:]]


def write_inputs(source: str, folder: Path) -> None:
    """Writes a source's files below ``folder/in``."""
    place = folder / "in"
    place.mkdir()
    for number in range(COUNT):
        (place / f"p{number}.jpg").write_bytes(picture(number))
        (place / f"p{number}.txt").write_text(f"Caption {number}.")
    (place / "p6.jpg").write_bytes(b"broken")
    if source == "captions":
        rows = [{"image": f"p{n}.jpg", "caption": f"Caption {n}."} for n in range(COUNT)]
        (place / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    if source == "img2dataset":
        with tarfile.open(place / "00000.tar", "w") as tar:
            for path in sorted(place.glob("p*")):
                tar.add(path, path.name)


def do_import(source: str, name: str, folder: Path) -> None:
    """``vila2 data import SOURCE``."""
    read = open_source(source, path=str(folder / "in" / name))
    origin = {"source": source}
    write_dataset(folder / "out", read, name="made", shard_size=SHARD, replace=False, origin=origin)


def replace_import(folder: Path) -> None:
    """``vila2 data import --replace``."""
    write_dataset(folder / "out", iter(samples(100)), name="new", shard_size=SHARD)


def old_dataset(folder: Path) -> None:
    """A finished dataset."""
    write_dataset(folder / "out", iter(samples()), name="old", shard_size=SHARD)


def neither_old_nor_new(folder: Path) -> str:
    """Whether there is a dataset that can be read: the old one, or the new one after its move is ended."""
    copy = folder / "copy"
    shutil.copytree(folder / "out", copy)
    try:
        settle_replacement(copy)
        keys = [sample.key for sample in ShardDataset.open(copy)]
        return "" if keys == [f"k{n}" for n in range(COUNT)] else f"left: {keys}"
    except DataError as error:
        return str(error)
    finally:
        shutil.rmtree(copy)


def photos(folder: Path) -> None:
    """Photos beside the folder of the captions."""
    (folder / "out").mkdir()
    (folder / "photos").mkdir()
    for number in range(COUNT):
        (folder / "photos" / f"p{number}.jpg").write_bytes(picture(number))
    (folder / "photos" / "p3.jpg").write_bytes(b"broken")


def caption_photos(folder: Path, **more: Any) -> None:
    """``vila2 recaption PHOTOS``."""
    words = more.pop("words", LONG)
    recaption_photos(
        folder / "photos",
        Echo(folder),
        out=folder / "out" / "captions.jsonl",
        prompts=["Describe the picture."],
        settings=GenerationSettings(max_new_tokens=words),
        seed=0,
        batch_size=BATCH,
        **more,
    )


def captioned_photos(folder: Path) -> None:
    """Photos with captions that were cut."""
    photos(folder)
    caption_photos(folder, words=SHORT)
    (folder / ASKED).unlink()


def captions_gone(folder: Path) -> str:
    """Whether a photo that had a caption has none."""
    lines = (folder / "out" / "captions.jsonl").read_bytes().splitlines()
    return "" if len(lines) == COUNT - 1 else f"{len(lines)} captions are left"


def dataset_inputs(folder: Path) -> None:
    """A dataset whose layers are written to ``out``."""
    write_dataset(folder / "data", iter(samples()), name="data", shard_size=SHARD)


def asked_as(folder: Path, words: int = LONG) -> dict[str, Any]:
    """The arguments of a job that writes a layer."""
    return {
        "folder": folder / "out",
        "prompts": ["Describe the picture."],
        "settings": GenerationSettings(max_new_tokens=words),
        "seed": 0,
        "batch_size": BATCH,
    }


def caption_layer(folder: Path, words: int = LONG) -> None:
    """``vila2 recaption DATASET``."""
    dataset = ShardDataset.open(folder / "data")
    recaption(dataset, Echo(folder), layer="self-1", **asked_as(folder, words))


def captioned_layer(folder: Path) -> None:
    """A layer whose captions were cut."""
    dataset_inputs(folder)
    caption_layer(folder, words=SHORT)
    (folder / ASKED).unlink()


def redo(folder: Path) -> None:
    """``vila2 recaption --redo truncated``; a redo that is done finds nothing left to do."""
    dataset = ShardDataset.open(folder / "data")
    redo_layer(dataset, Echo(folder), statuses=["truncated"], **asked_as(folder))


def layer_gone(folder: Path) -> str:
    """Whether the layer can be read."""
    try:
        rows = list(Layer.open(folder / "out").rows())
    except DataError as error:
        return str(error)
    return "" if len(rows) == COUNT else f"{len(rows)} annotations are left"


def annotate(folder: Path) -> None:
    """``vila2 annotate`` with the plugin for grounding."""
    made = MadeSpecialist("grounding", folder, {"annotate": {"batch_size": BATCH}, "dtype": "float32"})
    annotate_dataset(ShardDataset.open(folder / "data"), Echo(folder), made, folder=folder / "out")


def merge_inputs(folder: Path) -> None:
    """A dataset with a layer of captions."""
    dataset_inputs(folder)
    write_layer(
        ShardDataset.open(folder / "data"),
        lambda key: [Annotation(key, "", f"A red cube. A sign says GO. This is {key}.", "ok")],
        folder=folder / "self-1",
        name="self-1",
        info={},
    )


def merge(folder: Path) -> None:
    """``vila2 merge``."""
    dataset = ShardDataset.open(folder / "data")
    layers = {"original": original_layer(dataset), "self-1": Layer.open(folder / "self-1")}
    merge_layers(dataset, layers, folder=folder / "out", spec=MergeSpec(base="self-1"))


def unindexed(folder: Path) -> None:
    """A dataset without its indexes, which the first reader makes anew, and with a layer."""
    old_dataset(folder)
    layer = {**asked_as(folder), "folder": folder / "out" / "layers" / "self-1"}
    recaption(ShardDataset.open(folder / "out"), Echo(folder), layer="self-1", **layer)
    (folder / ASKED).unlink()
    for index in (folder / "out" / "shards").glob("*.index"):
        index.unlink()


def verify(folder: Path) -> None:
    """``vila2 data stats`` and ``vila2 data verify``."""
    original_layer(ShardDataset.open(folder / "out")).statistics()
    problems = verify_dataset(folder / "out").problems
    if problems:
        raise DataError(str(problems))


class NoTally:
    """Counts nothing."""

    def add(self, sample: Sample) -> None:
        """Takes a sample."""

    def to_json(self) -> dict[str, Any]:
        """No counts."""
        return {}


def build(folder: Path) -> None:
    """The data of a specialist, in pieces."""
    pieces = Pieces(folder / "out", shard_size=SHARD)
    if (folder / "out" / "built.json").exists():
        return
    for number in range(2):
        if not pieces.has(number):
            part = [item for item in samples(10 * number) if isinstance(item, Sample)]
            named = [Sample(f"{number}-{s.key}", s.images, s.turns) for s in part]
            pieces.write(number, named, group=lambda sample: "even", tally=NoTally())
    pieces.join(2)


FILE_JOBS = (
    *(
        Job(f"import-{source}", partial(write_inputs, source), partial(do_import, source, name))
        for source, name in (("folder", ""), ("captions", "rows.jsonl"), ("img2dataset", "00000.tar"))
    ),
    Job("import-replace", old_dataset, replace_import, lost=neither_old_nor_new),
    Job("photos", photos, caption_photos),
    Job(
        "photos-redo",
        captioned_photos,
        partial(caption_photos, redo=["truncated"]),
        lost=captions_gone,
    ),
    Job("recaption", dataset_inputs, caption_layer),
    Job("layer-redo", captioned_layer, redo, lost=layer_gone),
    Job("annotate", dataset_inputs, annotate),
    Job("merge", merge_inputs, merge),
    Job("verify", unindexed, verify, lost=neither_old_nor_new),
    Job("build", lambda folder: None, build),
)
