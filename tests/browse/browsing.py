"""A dataset with layers and a merge, and a reader of its page, for tests of browsing."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from html import unescape
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.merge.merge_jobs import hand_made, merged
from tests.merge.merge_layers import said, world, write_layer
from vila2.browse.browse_server import BrowseServer, serve
from vila2.browse.collection import open_collection
from vila2.browse.corrections import Corrections
from vila2.data.annotations import Annotation
from vila2.data.shards import ShardDataset

HOSTILE = (
    "<script>document.title='hacked'</script><img src=x onerror=\"document.title='hacked'\">"
    " \x1b[31m \"'><b>bold</b> {{ 7 * 7 }} \u202eevil Zebra crêpe"
)


def described(folder: Path, count: int = 40) -> ShardDataset:
    """Scenes with a self layer, two specialists, their merge, and a layer of bad answers."""
    dataset = world(folder, count)
    layers = hand_made(dataset)
    merged(dataset, layers, folder / "layers" / "merged")
    keys = dataset.keys()
    rows = [said(keys[0], HOSTILE), Annotation(keys[1], "Describe.", "", "empty", "nothing was said")]
    rows += [Annotation(keys[20], "Describe.", "a cube a cube", "repetition", "'a cube' twice")]
    write_layer(dataset, "self-2", rows)
    return dataset


class Reader:
    """A browser without scripts."""

    def __init__(self, server: BrowseServer) -> None:
        self.url = server.url
        self.server = server

    def get(self, path: str = "", **values: object) -> str:
        asked = "?" + urlencode(values) if values else ""
        with urllib.request.urlopen(self.url + path + asked) as answer:
            return answer.read().decode()

    def keys(self, **values: object) -> list[str]:
        """The samples that the grid shows."""
        return re.findall(r"<b>([^<]*)</b>", self.get(**values))

    def sample(self, key: str, **values: object) -> str:
        return self.get("sample", key=key, **values)

    def correct(self, number: int, layer: str, row: int = 0, **said: str) -> dict:
        body = {"number": number, "layer": layer, "row": row, "text": "", "mark": "", "note": ""} | said
        return self.post("correct", json.dumps(body).encode())

    def post(self, path: str, body: bytes, **headers: str) -> dict:
        request = urllib.request.Request(
            self.url + path, body, {"Content-Type": "application/json"} | headers, method="POST"
        )
        with urllib.request.urlopen(request) as answer:
            return json.loads(answer.read())


@contextmanager
def browsing(source: Path, *layers: str, name: str = "human-1") -> Iterator[Reader]:
    """From starting the command until it ends, with the index ready."""
    collection = open_collection(source, layers, without=name)
    with serve(collection, Corrections(collection, name)) as server:
        assert server.index.ready.wait(30), server.index.problem
        yield Reader(server)


def refused(call, *arguments, **options) -> tuple[int, str]:
    """Status and text of an answer that is an error."""
    with pytest.raises(urllib.error.HTTPError) as caught:
        call(*arguments, **options)
    return caught.value.code, unescape(caught.value.read().decode())
