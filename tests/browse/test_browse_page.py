"""The page over real HTTP: the grid, a sample with all its layers, search, filters, and who may ask."""

from __future__ import annotations

import io
import re
import threading
import urllib.request
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest
from PIL import Image

from tests.browse.browsing import HOSTILE, Reader, browsing, described, refused
from tests.merge.merge_layers import write_layer
from vila2.browse.browse_server import serve
from vila2.browse.collection import open_collection
from vila2.browse.corrections import Corrections
from vila2.data.shards import ShardDataset
from vila2.errors import DataError


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> ShardDataset:
    return described(tmp_path_factory.mktemp("browse") / "set", 70)


@pytest.fixture(scope="module")
def reader(dataset: ShardDataset) -> Iterator[Reader]:
    with browsing(dataset.folder) as reader:
        yield reader


def test_the_grid_shows_pages_of_sixty_and_every_sample_has_a_link(reader: Reader, dataset: ShardDataset):
    keys = dataset.keys()
    assert reader.keys() == keys[:60] and reader.keys(page=2) == keys[60:]
    assert "page 1 of 2" in reader.get()
    for href in re.findall(r'class="card" href="([^"]*)"', reader.get(page=2)):
        assert "<h1" in reader.get(unescape(href))
    with urllib.request.urlopen(reader.url + "thumb?n=3") as answer:
        assert answer.headers["Content-Type"] == "image/jpeg"
        assert Image.open(io.BytesIO(answer.read())).width <= 320


def test_a_sample_shows_all_layers_boxes_verdicts_and_fates(reader: Reader, dataset: ShardDataset):
    page = reader.sample(dataset.keys()[2])
    headings = re.findall(r'<h2 id="layer-\d+">([^<]+)</h2>', page)
    assert headings == ["original", "self-1", "self-2", "boxes", "words", "merged"]
    assert page.count('<rect class="under"') == 2
    assert "red cube (" in re.search(r"<title>(red cube[^<]*)</title>", page)[0]
    wrong = re.findall(r'<mark class="hallucination" title="([^"]*)">([^<]*)', page)
    assert any("dropped, contradicted" in title and "right of" in text for title, text in wrong)
    table = page[page.index('class="fates"') :]
    assert "dropped: contradicted" in table and "<td>kept</td>" in table
    assert "nothing about this sample" in page  # self-2 left it out
    assert "nothing was said" in reader.sample(dataset.keys()[1])


def test_neighbors_stay_within_the_query(reader: Reader, dataset: ShardDataset):
    keys = dataset.keys()
    page = reader.sample(keys[1], layer="self-2")
    assert f"sample?key={keys[2]}" in page
    page = reader.sample(keys[1], layer="self-2", status="repetition")
    assert f'rel="next" href="sample?key={keys[20]}&amp;layer=self-2&amp;status=repetition"' in page
    assert 'rel="prev"' not in page


def test_search_and_filters_find_over_all_layers(reader: Reader, dataset: ShardDataset):
    keys = dataset.keys()
    assert reader.keys(q="zebra") == [keys[0]]
    assert reader.keys(q="zeb crepe") == [keys[0]]  # beginnings of words, without accents
    assert reader.keys(q='"crepe zebra"') == [] and reader.keys(q='"zebra crepe"') == [keys[0]]
    assert reader.keys(q="zebra", layer="self-1") == []
    assert reader.keys(q="-zebra") == keys[1:61]
    assert reader.keys(q=keys[5]) == [keys[5]]
    assert reader.keys(status="empty", layer="self-2") == [keys[1]]
    assert reader.keys(status="repetition") == [keys[20]]
    assert reader.keys(fate="contradicted", layer="self-1", page=2) == keys[60:]
    assert reader.keys(verdict="contradicted", layer="words") == []
    assert "repetition (1)" in reader.get() and "No sample is like this" in reader.get(fate="nonsense")


@pytest.mark.parametrize(
    "words", ['"', "(", "AND", "NEAR(", "layer_0:", "*", "-", "a\x00b", "'; DROP", "ü" * 400]
)
def test_no_search_breaks_the_page(reader: Reader, words: str):
    assert "sample" in reader.get(q=words)


def test_texts_do_nothing_but_show(reader: Reader, dataset: ShardDataset):
    page = (
        reader.sample(dataset.keys()[0]) + reader.get(q=HOSTILE) + reader.get(status=HOSTILE, layer=HOSTILE)
    )
    assert "\x1b" not in page and "<script>document" not in page and "<b>bold" not in page
    assert "<img src=x" not in page and "&lt;script&gt;" in page and "{{ 7 * 7 }}" in page


def test_the_page_loads_nothing_from_elsewhere_and_no_script_stands_in_it(reader: Reader):
    with urllib.request.urlopen(reader.url) as answer:
        policy, page = answer.headers["Content-Security-Policy"], answer.read().decode()
    assert policy.startswith("default-src 'none'") and "unsafe" not in policy and "&#" not in policy
    assert "script-src 'self'" in policy and "frame-ancestors 'none'" in policy
    assert re.findall(r"<script[^>]*>[^<]", page) == [] and not re.search(r"https?://", page)
    assert not re.search(r"\son[a-z]+=|\sstyle=", page)


def test_only_who_has_the_token_and_names_this_host_is_answered(reader: Reader):
    whole = reader.url
    reader.url = whole.replace(reader.server.token, "x" * 32)
    assert refused(reader.get)[0] == 404 and refused(reader.correct, 0, "self-1", mark="good")[0] == 404
    reader.url = whole
    for host in ("evil.example", f"evil.example:{reader.server.server_port}", "127.0.0.1:1"):
        request = urllib.request.Request(whole, headers={"Host": host})
        assert refused(urllib.request.urlopen, request)[0] == 403
    assert refused(reader.post, "correct", b"{}", Origin="http://evil.example")[0] == 403
    assert reader.server.server_address[0] == "127.0.0.1"


def test_what_is_not_there_is_told(reader: Reader):
    assert "no sample has the key" in refused(reader.sample, "nobody")[1]
    assert refused(reader.get, "image", n=0, i=7)[0] == 404
    assert refused(reader.get, "thumb", n=-1)[0] == 404
    assert refused(reader.get, "../../etc/passwd")[0] == 404
    assert reader.keys(page=99) == []


def test_the_index_is_made_once_and_anew_for_another_layer(tmp_path: Path):
    dataset = described(tmp_path / "set")
    with browsing(dataset.folder):
        [first] = (dataset.folder / ".browse").glob("*.sqlite")
    made = first.stat().st_mtime_ns
    with browsing(dataset.folder):
        assert first.stat().st_mtime_ns == made
    write_layer(dataset, "self-3", [])
    with browsing(dataset.folder) as reader:
        assert len(list(first.parent.glob("*.sqlite"))) == 2
        assert "self-3" in reader.get()
    with browsing(dataset.folder, "original", "self-1") as reader:
        assert reader.keys(q="zebra") == []
        assert "self-2" not in reader.get()


def test_all_samples_are_shown_before_the_index_is_ready_and_a_damaged_one_is_made_anew(tmp_path: Path):
    dataset = described(tmp_path / "set")
    collection = open_collection(dataset.folder, [])
    hold = threading.Event()
    for rows in collection.rows.values():
        rows.align = hold.wait  # the work in the background has not begun
    with serve(collection, Corrections(collection, "human-1")) as server:
        reader = Reader(server)
        assert reader.keys() == dataset.keys()
        assert "are being prepared" in reader.get()
        assert "says" in reader.sample(dataset.keys()[3])
        assert "not ready yet" in refused(reader.keys, q="zebra")[1]
        hold.set()
        assert server.index.ready.wait(30)
        assert reader.keys(q="zebra") == dataset.keys()[:1]
    [file] = (dataset.folder / ".browse").glob("*.sqlite")
    file.write_bytes(b"no database" * 1000)
    with browsing(dataset.folder) as reader:
        assert reader.keys(q="zebra") == dataset.keys()[:1]


def test_an_unfinished_layer_is_named_and_an_unknown_one_refused(tmp_path: Path):
    dataset = described(tmp_path / "set")
    (dataset.folder / "layers" / "self-2" / "layer.json").unlink()
    with browsing(dataset.folder) as reader:
        assert "the layer is not finished" in reader.get()
    with pytest.raises(DataError, match="no layer 'self-9'"):
        open_collection(dataset.folder, ["self-9"])
