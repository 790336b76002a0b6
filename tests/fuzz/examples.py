"""Sound input, from which fuzzing begins."""

from __future__ import annotations

import io
import json
import tarfile
import zlib

from PIL import Image


def picture(kind: str = "JPEG") -> bytes:
    """A small image."""
    buffer = io.BytesIO()
    Image.new("RGB", (8, 6), (200, 90, 120)).save(buffer, kind)
    return buffer.getvalue()


def tar(*members: tuple[str, bytes]) -> bytes:
    """A tar of members."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as file:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            file.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


TURNS = [
    {"role": "user", "parts": [{"type": "image", "index": 0}, {"type": "text", "text": "What?"}]},
    {
        "role": "assistant",
        "parts": [{"type": "box", "box": [0.1, 0.2, 0.3, 0.4]}],
        "source": "a",
        "branch": 1,
    },
]
OWN = json.dumps({"turns": TURNS, "meta": {"a": [1, None]}, "key": "k"}).encode()
ROW = {"key": "k", "prompt": "p", "text": "A cat.", "status": "ok", "detail": "", "tokens": 3}
CLAIM = {"kind": "object", "start": 0, "end": 5, "status": "supported", "boxes": [[0.1, 0.1, 0.2, 0.2]]}
FULL_ROW = ROW | {"turns": TURNS, "claims": [CLAIM], "mark": "ok"}


def lines(*rows: object) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def checksummed(value: object) -> bytes:
    text = json.dumps(value)
    return f"{zlib.crc32(text.encode()):08x} {text}\n".encode()


def parquet(rows: list[dict[str, object]]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), buffer)
    return buffer.getvalue()


COCO = {
    "images": [{"id": 1, "file_name": "a.jpg", "width": 8, "height": 6}],
    "annotations": [
        {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 2, 2], "iscrowd": 0, "area": 4.0}
    ],
    "categories": [{"id": 1, "name": "cat"}],
}
LLAVA = [
    {
        "id": "1",
        "image": "a.jpg",
        "conversations": [{"from": "human", "value": "<image>\nq"}, {"from": "gpt", "value": "a"}],
    }
]
MMC4 = {
    "text_list": ["a", "b"],
    "image_info": [{"image_name": "a.jpg", "matched_text_index": 0}],
    "similarity_matrix": [[0.1, 0.9]],
    "url": "u",
}
INSTRUCTION = {"id": 1, "messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}
SHARD = {"name": "a.tar", "count": 1, "bytes": 10, "sha256": "0"}
DATASET = {"version": 1, "name": "d", "count": 1, "digest": "0", "shards": [SHARD], "rejected": {"a": 1}}
LAYER = {
    "version": 1,
    "name": "l",
    "count": 1,
    "statuses": {"ok": 1},
    "shards": [{"name": "000000.parquet", "rows": 1, "sha256": "0"}],
    "info": {"seed": 1},
}
PHOTO = ROW | {"file": "a.jpg", "sha256": "0", "prompt_name": "p", "model": "m"}
RECIPE = (
    b"name: a\nmodel:\n  vision: x\nstages:\n  - name: align\n    data: {a: 1}\n    learning_rate: 1e-3\n"
)
SOUND_RECIPE = b"""\
name: a
model: {vision: builtin:world/vision, language: builtin:world/language}
data: {pairs: {source: world, options: {split: sft}}}
stages:
  align:
    mixture: [{dataset: pairs, view: only(original)}]
    learning_rate: 1e-3
  pretrain: {mixture: [{dataset: pairs}]}
"""
PROGRESS = {
    "steps": [{"name": "a", "state": "done"}],
    "tasks": [{"name": "t", "done": 1, "total": 2}],
    "pid": 1,
}
REPLIES = (
    {
        "choices": [{"message": {"content": "A cat."}, "finish_reason": "stop"}],
        "usage": {"completion_tokens": 3},
    },
    {"error": {"message": "too many requests", "code": 429}},
)
RESULTS = {
    "title": "t",
    "recipe": {"name": "a", "seed": 0, "text": "name: a"},
    "vila2_version": "1",
    "models": [{"name": "m", "round": 0, "stages": [{"name": "align", "loss": [[1, 2.5], [2, None]]}]}],
    "layers": [{"name": "self-1", "captions": 1, "words_mean": 2.0, "words_sd": None, "status": {"ok": 1}}],
    "best": "m",
    "examples": [{"key": "k", "captions": [{"layer": "self-1", "text": "A cat."}]}],
}
TEXTS = (
    b'There are two red cubes. Mr. Fox says "go". The cube is left of the ball [0.1, 0.2, 0.3, 0.4].',
    b"1. A cat\n2. no dog, nothing else... <loc_1><loc_2> (0.5, 0.5)",
)
