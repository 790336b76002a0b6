"""A person as the judge: the blind page over real HTTP, with stale tabs, forged votes and undoing."""

from __future__ import annotations

import io
import json
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image

from tests.judge.judging import COLORS, two_layers
from vila2.errors import RunError
from vila2.judge.judging_job import PERSON, Work, open_votes, write_judged
from vila2.judge.person import Session
from vila2.judge.server import JudgeServer, serve


class Tab:
    """A browser's tab: it remembers what it was shown last."""

    def __init__(self, server: JudgeServer) -> None:
        self.url = server.url
        self.state = self.get("next")

    def get(self, path: str) -> dict:
        with urllib.request.urlopen(self.url + path) as answer:
            return json.loads(answer.read())

    def post(self, path: str, body: object, **headers: str) -> dict:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(
            self.url + path, data, {"Content-Type": "application/json"} | headers, method="POST"
        )
        with urllib.request.urlopen(request) as answer:
            return json.loads(answer.read())

    def vote(self, choice: str) -> None:
        self.state = self.post("vote", {"turn": self.state["turn"], "choice": choice})

    def undo(self) -> None:
        self.state = self.post("undo", {"turn": self.state["turn"]})

    def picture(self) -> Image.Image:
        with urllib.request.urlopen(f"{self.url}image/{self.state['turn']}/0") as answer:
            assert answer.headers["Content-Type"] == "image/jpeg"
            return Image.open(io.BytesIO(answer.read()))

    def look(self) -> str:
        """What a person who sees would choose."""
        pixel = self.picture().getpixel((0, 0))
        distance = {
            name: sum(abs(a - b) for a, b in zip(pixel, value, strict=True)) for name, value in COLORS.items()
        }
        color = min(distance, key=distance.get)
        return ["left", "right"][color not in self.state["texts"][0]]


def refused(status: int, call, *arguments, **options) -> str:
    with pytest.raises(urllib.error.HTTPError) as caught:
        call(*arguments, **options)
    assert caught.value.code == status
    return json.loads(caught.value.read())["error"]


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Work:
    layers = two_layers(tmp_path_factory.mktemp("person") / "set")
    return Work.choose(*layers, count=12, check=False, seed=0)


@contextmanager
def sitting(work: Work, folder: Path) -> Iterator[JudgeServer]:
    """From starting the command to closing it."""
    with open_votes(folder, work, PERSON) as book:
        session = Session(work.pairs, work.dataset, book, seed=work.seed)
        with serve(session) as server:
            server.book = book
            yield server


def journal(folder: Path) -> list[dict]:
    return [json.loads(line.split(" ", 1)[1]) for line in (folder / "votes.jsonl").read_text().splitlines()]


def test_a_person_who_looks_finds_the_right_layer_on_whatever_side_it_stands(work: Work, tmp_path: Path):
    sides = []
    with sitting(work, tmp_path) as server:
        tab = Tab(server)
        assert tab.state["total"] == 12 and tab.state["done"] == 0
        while tab.state["texts"]:
            sides.append(tab.look())
            tab.vote(sides[-1])
        assert tab.state["done"] == 12
        assert tab.post("finish", {}) == {"finished": True} and server.finished.wait(10)
        found = write_judged(tmp_path, work, PERSON, server.book)
    assert {"left", "right"} == set(sides)
    assert found["matches"][0]["lost"] == 12 and found["matches"][0]["win_rate"][0] == 0
    assert found["trust"]["agrees"] is None  # asked in one order only


def test_the_page_says_nothing_of_layers_and_loads_nothing_from_elsewhere(work: Work, tmp_path: Path):
    with sitting(work, tmp_path) as server:
        assert server.server_address[0] == "127.0.0.1"
        sent = b""
        for path in ("", "page.js", "page.css", "next"):
            with urllib.request.urlopen(server.url + path) as answer:
                sent += answer.read()
                policy = answer.headers["Content-Security-Policy"]
                assert policy.startswith("default-src 'none'") and "unsafe" not in policy
        for word in (b"original", b"self-1", b"http://", b"https://", work.pairs[0].key.encode() + b"|"):
            assert word not in sent
        for forbidden in (b"innerHTML", b"<script>", b"onclick", b"<style>", b"style="):
            assert forbidden not in sent


def test_every_vote_is_on_disk_at_once_and_a_new_sitting_goes_on(work: Work, tmp_path: Path):
    with sitting(work, tmp_path) as server:
        tab = Tab(server)
        for number, choice in enumerate(("left", "tie", "skip", "right"), start=1):
            tab.vote(choice)
            assert len(journal(tmp_path)) == number
        shown = tab.state["texts"]
        old = server.url
    with sitting(work, tmp_path) as server:
        tab = Tab(server)
        assert tab.state["done"] == 4 and tab.state["texts"] == shown
        assert old != server.url
        found = write_judged(tmp_path, work, PERSON, server.book)
    kinds = found["pairs"]["kinds"]
    assert (kinds["tie"], kinds["skip"], kinds["decided"], kinds["open"]) == (1, 1, 2, 8)


def test_undo_takes_back_one_vote_after_the_other_even_of_an_earlier_sitting(work: Work, tmp_path: Path):
    with sitting(work, tmp_path) as server:
        tab = Tab(server)
        first = tab.state["texts"]
        assert not tab.state["can_undo"]
        assert "no vote" in refused(409, tab.undo)
        tab.vote("left")
        second = tab.state["texts"]
        tab.vote("left")
    with sitting(work, tmp_path) as server:
        tab = Tab(server)
        tab.undo()
        assert (tab.state["texts"], tab.state["done"]) == (second, 1)
        tab.undo()
        assert (tab.state["texts"], tab.state["done"], tab.state["can_undo"]) == (first, 0, False)
        tab.vote("right")
    kept = journal(tmp_path)
    assert [list(entry) for entry in kept] == [["votes"], ["votes"], ["undo"], ["undo"], ["votes"]]
    assert kept[-1]["votes"][0]["pair"] == kept[0]["votes"][0]["pair"]


def test_a_second_tab_cannot_vote_on_what_is_no_longer_shown(work: Work, tmp_path: Path):
    with sitting(work, tmp_path) as server:
        one, other = Tab(server), Tab(server)
        one.vote("left")
        assert "another tab" in refused(409, other.vote, "right")
        assert "another tab" in refused(409, other.undo)
        refused(409, other.picture)
        assert len(journal(tmp_path)) == 1
        other.state = other.get("next")
        assert other.state == one.state
        one.undo()
        assert "another tab" in refused(409, other.vote, "right")  # though the same number of pairs is done
        refused(409, one.post, "vote", {"turn": 0, "choice": "left"})  # the first pair again, its old turn
        assert len(journal(tmp_path)) == 2


def test_a_double_click_counts_once(work: Work, tmp_path: Path):
    with sitting(work, tmp_path) as server:
        tab = Tab(server)
        body = {"turn": tab.state["turn"], "choice": "left"}
        tab.post("vote", body)
        refused(409, tab.post, "vote", body)
        assert len(journal(tmp_path)) == 1


@pytest.mark.parametrize(
    ("status", "body", "headers"),
    [
        (400, {"turn": 0, "choice": "both"}, {}),
        (400, {"turn": 0}, {}),
        (400, {"turn": "0", "choice": "left"}, {}),
        (400, {"turn": True, "choice": "left"}, {}),
        (400, {"turn": 0.0, "choice": "left"}, {}),
        (400, {"turn": 0, "choice": ["left"]}, {}),
        (400, [0, "left"], {}),
        (400, b"{", {}),
        (400, b"[" * 900, {}),
        (400, b"\xff\xfe", {}),
        (409, {"turn": 10**30, "choice": "left"}, {}),
        (409, {"turn": -1, "choice": "left"}, {}),
        (413, b" " * 5000, {}),
        (400, {"turn": 0, "choice": "left"}, {"Content-Type": "text/plain"}),
        (403, {"turn": 0, "choice": "left"}, {"Origin": "https://evil.example"}),
        (403, {"turn": 0, "choice": "left"}, {"Origin": "null"}),
        (403, {"turn": 0, "choice": "left"}, {"Host": "evil.example"}),
    ],
)
def test_a_forged_vote_is_refused_and_kept_nowhere(work: Work, tmp_path: Path, status, body, headers):
    with sitting(work, tmp_path) as server:
        tab = Tab(server)
        assert refused(status, tab.post, "vote", body, **headers)
        assert not (tmp_path / "votes.jsonl").exists()
        tab.vote("left")  # the server goes on


def test_without_the_token_nothing_is_answered(work: Work, tmp_path: Path):
    with sitting(work, tmp_path) as server:
        tab = Tab(server)
        base = server.url.removesuffix(f"{server.token}/")
        for wrong in ("", "x/", server.token[:-1] + "/", f"{server.token}x/", f"../{server.token}/"):
            tab.url = base + wrong
            refused(404, tab.get, "next")
            refused(404, tab.post, "vote", {"turn": 0, "choice": "left"})
        tab.url = server.url
        for path in ("../job.json", "image/0/7", "image/0/-1", "image/0/0/0", "judged.json", "page.html"):
            with pytest.raises(urllib.error.HTTPError) as caught:
                urllib.request.urlopen(server.url + path)
            assert caught.value.code in (400, 404)
        assert not (tmp_path / "votes.jsonl").exists()


def test_a_connection_that_says_nonsense_harms_nobody(work: Work, tmp_path: Path):
    with sitting(work, tmp_path) as server:
        for words in (b"\x00\xff\r\n\r\n", b"POST / HTTP/1.1\r\nContent-Length: -5\r\n\r\n", b""):
            with socket.create_connection(server.server_address) as connection:
                connection.sendall(words)
        assert Tab(server).state["done"] == 0


def test_only_one_command_at_a_time_and_a_taken_port_is_an_error(work: Work, tmp_path: Path):
    with sitting(work, tmp_path) as server:
        with pytest.raises(RunError, match="another process"), sitting(work, tmp_path):
            pass
        with pytest.raises(RunError, match="cannot be used"), serve(server.session, port=server.server_port):
            pass


def test_unreadable_images_are_put_down_and_not_shown(tmp_path: Path):
    layers = two_layers(tmp_path / "set", 8, damaged=range(8))
    work = Work.choose(*layers, count=8, check=False, seed=0)
    with sitting(work, tmp_path / "out") as server:
        tab = Tab(server)
        assert tab.state["texts"] is None and tab.state["done"] == 8 and not tab.state["can_undo"]
        assert "all pairs" in refused(409, tab.vote, "left")
        found = write_judged(tmp_path / "out", work, PERSON, server.book)
    assert found["pairs"]["kinds"] == {"error": 8}


def test_checks_stand_among_the_comparisons(tmp_path: Path):
    work = Work.choose(*two_layers(tmp_path / "set"), count=30, check=True, seed=0)
    with sitting(work, tmp_path / "out") as server:
        tab = Tab(server)
        assert tab.state["total"] == 50
        for _ in range(25):
            tab.vote(tab.look())
        found = write_judged(tmp_path / "out", work, PERSON, server.book)
    kinds = found["check"]["kinds"]
    assert 3 < kinds["decided"] < 20 and kinds["open"] == 20 - kinds["decided"]
    assert found["check"]["right"][0] == 1
