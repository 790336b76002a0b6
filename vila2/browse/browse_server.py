"""The server of the page: samples in a grid, one sample in full, images, and changes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qs, urlencode

from vila2.browse.collection import Collection
from vila2.browse.corrections import Corrections
from vila2.browse.pictures import FULL, THUMBNAIL, Pictures
from vila2.browse.query import Query
from vila2.browse.search_index import FactCount, SearchIndex
from vila2.browse.shown_samples import grid_cards, sample_view
from vila2.errors import DataError, Vila2Error
from vila2.report.local_server import LOOPBACK, LocalHandler, LocalServer, running
from vila2.report.page import for_html
from vila2.report.templates import content_policy, filled

PAGE = 60  # samples
_HTML = "text/html; charset=utf-8"
_BODY = {"layer": str, "row": int, "text": str, "mark": str, "note": str, "number": int}


class BrowseServer(LocalServer):
    """Serves a collection.

    Args:
        collection: what is looked at.
        corrections: what takes changes.
        port: port to listen on; 0 takes any that is free.
        host: address to listen on.

    Attributes:
        index: index for search and filters, which is made in the background.
    """

    def __init__(self, collection: Collection, corrections: Corrections, port: int, host: str) -> None:
        super().__init__(_BrowseHandler, port, host)
        self.collection = collection
        self.corrections = corrections
        self.index = SearchIndex(collection)
        self.pictures = Pictures(collection.dataset)

    def marked(self, query: Query) -> list[int] | None:
        """The numbers of the samples with the mark that a query asks for; None where it asks for none."""
        if not query.mark:
            return None
        return [self.collection.dataset.find(key) for key in self.corrections.keys(query.mark)]

    def find(self, query: Query, page: int) -> tuple[int, list[int]]:
        """How many samples a query has, and the numbers of those on a page."""
        start = (page - 1) * PAGE
        if not query.address:
            total = len(self.collection.dataset)
            return total, list(range(total)[start : start + PAGE])
        return self.index.find(query, self.marked(query), start=start, count=PAGE)

    def beside(self, query: Query, number: int) -> tuple[int | None, int | None, int, int]:
        """The numbers of the samples before and after one, its place, and how many there are."""
        if query.address:
            return self.index.beside(query, self.marked(query), number)
        total = len(self.collection.dataset)
        following = number + 1 if number + 1 < total else None
        return (number - 1 if number else None), following, number + 1, total


@contextmanager
def serve(
    collection: Collection, corrections: Corrections, *, port: int = 0, host: str = LOOPBACK
) -> Iterator[BrowseServer]:
    """Runs the server in the background until the block ends; changes are in the layer then.

    Raises:
        RunError: the address cannot be listened on.
    """
    with running(BrowseServer(collection, corrections, port, host)) as server:
        stop = threading.Event()
        writer = threading.Thread(target=corrections.keep_written, args=[stop], daemon=True)
        writer.start()
        server.index.start()
        try:
            yield server
        finally:
            stop.set()
            writer.join()
            server.index.close()
            corrections.close()


class _BrowseHandler(LocalHandler):
    server: BrowseServer
    policy = f"{content_policy('page.css', 'browse.css', served=True)}; frame-ancestors 'none'"
    longest_body = 200_000

    def do_GET(self) -> None:
        path = self.asked_path()
        if path is None:
            return
        name, _, asked = path.partition("?")
        values = parse_qs(asked, errors="replace")
        pages: dict[str, Callable[[dict[str, list[str]]], None]] = {
            "": self._grid,
            "sample": self._sample,
            "image": self._image,
            "thumb": self._thumb,
            "state": self._state,
            "browse.js": self._script,
        }
        if name not in pages:
            self.refuse(404, "there is no such page")
            return
        try:
            pages[name](values)
        except DataError as error:
            self._message(HTTPStatus.NOT_FOUND, error)
        except (Vila2Error, OSError) as error:
            self._message(HTTPStatus.INTERNAL_SERVER_ERROR, error)

    def do_POST(self) -> None:
        path = self.asked_path()
        if path is None:
            return
        if path != "correct":
            self.refuse(404, "there is no such page")
            return
        body = self.sent_object()
        if body is None:
            return
        if {name: type(value) for name, value in body.items()} != _BODY:
            self.refuse(400, f"send {', '.join(_BODY)}")
            return
        try:
            made = self.server.corrections.change(**body)
        except DataError as error:
            self.refuse(400, f"{error.what}{f' ({error.hint})' if error.hint else ''}")
        except (Vila2Error, OSError) as error:
            self.refuse(500, f"it could not be kept: {error}")
        else:
            self.send_json(200, {"mark": made.mark, "corrected": made.corrected, "note": made.note})

    def _grid(self, values: dict[str, list[str]]) -> None:
        query, page = Query.of(values), max(1, _whole(values, "page", 1))
        server = self.server
        total, numbers = server.find(query, page)
        cards = grid_cards(server.collection, numbers, query.layer)
        pages = max(1, -(-total // PAGE))
        self._page(200, "browse_grid.jinja", query, cards=cards, total=total, page=page, pages=pages)

    def _sample(self, values: dict[str, list[str]]) -> None:
        query, server = Query.of(values), self.server
        number = server.collection.dataset.find(values.get("key", [""])[0])
        before, after, place, total = server.beside(query, number)
        view = sample_view(server.collection, server.corrections, number)
        links = {
            rel: None if at is None else _link(server.collection.key(at), query)
            for rel, at in (("prev", before), ("next", after))
        }
        page = max(1, -(-place // PAGE))
        self._page(
            200,
            "browse_sample.jinja",
            query,
            card=view,
            links=links,
            place=place,
            total=total,
            page=page,
            corrections=server.corrections,
        )

    def _message(self, status: HTTPStatus, error: Exception) -> None:
        what = error.what if isinstance(error, Vila2Error) else str(error)
        hint = error.hint if isinstance(error, Vila2Error) else ""
        self._page(status, "browse_message.jinja", Query(), what=what, hint=hint)

    def _page(self, status: int, template: str, query: Query, **values: Any) -> None:
        server = self.server
        counts = server.index.counts
        shown = filled(
            template,
            dataset=server.collection.dataset,
            layers=list(server.collection.layers),
            left_out=server.collection.left_out,
            query=query,
            link=_link,
            options={kind: _options(counts, kind, query.layer) for kind in ("status", "verdict", "fate")},
            ready=server.index.ready.is_set(),
            trouble=[one for one in (server.index.problem, server.corrections.problem) if one],
            **values,
        )
        self.send_content(status, for_html(shown).encode("utf-8", "replace"), _HTML)

    def _image(self, values: dict[str, list[str]]) -> None:
        made = self.server.pictures.of(_whole(values, "n", -1), _whole(values, "i", -1), FULL)
        self.send_content(200, made, "image/jpeg", cached=True)

    def _thumb(self, values: dict[str, list[str]]) -> None:
        made = self.server.pictures.of(_whole(values, "n", -1), 0, THUMBNAIL)
        self.send_content(200, made, "image/jpeg", cached=True)

    def _state(self, values: dict[str, list[str]]) -> None:
        index = self.server.index
        state = {"ready": index.ready.is_set(), "done": index.done, "problem": index.problem}
        self.send_json(200, state | {"total": len(self.server.collection.dataset)})

    def _script(self, values: dict[str, list[str]]) -> None:
        script = (files("vila2.report") / "browse.js").read_bytes()
        self.send_content(200, script, "text/javascript; charset=utf-8")


def _link(key: str, query: Query) -> str:
    """The address of a sample, from which a reader goes on among the samples of the query."""
    asked = f"&{query.address}" if query.address else ""
    return f"sample?{urlencode({'key': key}, errors='replace')}{asked}"


def _options(counts: list[FactCount], kind: str, layer: str) -> list[FactCount]:
    return [one for one in counts if one.kind == kind and one.layer == layer]


def _whole(values: dict[str, list[str]], name: str, otherwise: int) -> int:
    text = values.get(name, [""])[0]
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else otherwise
