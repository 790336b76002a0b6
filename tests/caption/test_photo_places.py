"""What may be described: folders with links, single photos, several places, lists; and photos that move."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.caption.scripted import Scripted, lines
from tests.caption.tiny_llava import picture
from vila2.caption.photo_files import find_photos
from vila2.caption.photos import recaption_photos
from vila2.caption.prompts import DEFAULT_PROMPTS
from vila2.engine.protocol import GenerationSettings
from vila2.errors import DataError


def job(photos, engine, out: Path, **changes):
    options = {"prompts": DEFAULT_PROMPTS, "settings": GenerationSettings(16), "seed": 0, "batch_size": 2}
    return recaption_photos(photos, engine, out=out, **(options | changes))


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with photos/{a,b}.png and photos/in/c.png."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos/in").mkdir(parents=True)
    for number, name in enumerate(("a", "b", "in/c")):
        (tmp_path / f"photos/{name}.png").write_bytes(picture(number))
    return tmp_path


def keys(*places: str, **more) -> list[str]:
    return [photo.key for photo in find_photos([Path(place) for place in places], **more).photos]


def test_links_to_folders_are_followed_and_loops_are_not(place) -> None:
    outside = place / "elsewhere/more"
    outside.mkdir(parents=True)
    (outside / "d.png").write_bytes(picture(4))
    os.symlink("../elsewhere", "photos/linked")
    os.symlink("../elsewhere", "photos/linked again")
    os.symlink("..", "photos/in/up")
    os.symlink(place, "elsewhere/whole")
    os.symlink("nowhere.png", "photos/dead.png")
    found = find_photos([Path("photos")])
    assert [photo.key for photo in found.photos] == [
        "a.png",
        "b.png",
        "dead.png",
        "in/c.png",
        "linked/more/d.png",
    ]
    assert found.repeated >= 2
    summary = job(found, Scripted(), place / "captions.jsonl")
    assert summary.count == 4 and "No such file" in lines(summary.rejected_file)[0]["reason"]


def test_a_linked_folder_itself_and_a_single_photo(place) -> None:
    os.symlink("photos", "link")
    assert keys("link") == keys("photos") == ["a.png", "b.png", "in/c.png"]
    assert keys("photos/in/c.png") == ["c.png"]
    Path("noname").write_bytes(picture(1))
    assert keys("noname") == ["noname"]


def test_several_places_are_told_apart_by_their_paths(place) -> None:
    assert keys("photos/in", "photos/a.png", "./photos/a.png") == ["photos/a.png", "photos/in/c.png"]


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\0"])
def test_a_list_names_photos_in_its_order(place, ends: str) -> None:
    names = ["photos/b.png", "photos/a.png", "photos/in", "photos/b.png", "gone.png"]
    Path("list.txt").write_bytes("\ufeff".encode() + ends.join([*names, ""]).encode())
    expected = ["photos/b.png", "photos/a.png", "photos/in/c.png", "gone.png"]
    assert keys(lists=[Path("list.txt")]) == expected
    assert keys(lists=[Path("-")], stdin=io.BytesIO(ends.join(names).encode())) == expected
    summary = job(find_photos([], lists=[Path("list.txt")]), Scripted(), place / "c.jsonl")
    assert summary.count == 3 and [reject["key"] for reject in lines(summary.rejected_file)] == ["gone.png"]


def test_a_list_may_come_through_a_pipe(place) -> None:
    os.mkfifo("pipe")
    feed = subprocess.Popen(["sh", "-c", "ls photos/*.png > pipe"])
    assert keys(lists=[Path("pipe")]) == ["photos/a.png", "photos/b.png"]
    feed.wait()


def test_a_lists_paths_may_count_from_its_own_folder(place) -> None:
    Path("photos/list.txt").write_text("b.png\nin/c.png\n")
    found = find_photos([], lists=[Path("photos/list.txt")])
    assert all(photo.path.is_file() for photo in found.photos) and len(found.photos) == 2


@pytest.mark.parametrize(
    ("places", "lists", "said"),
    [
        (["nowhere"], [], "no such folder or file"),
        (["@list.txt"], [], "--list list.txt"),
        (["list.txt"], [], "--list list.txt"),
        ([], ["gone.txt"], "gone.txt"),
        ([], ["list.txt"], "none of the 1 files is there"),
        (["empty"], [], "no images there"),
        (["tars"], [], "--layer NAME"),
    ],
)
def test_what_is_wrong_with_a_place_is_said(place, places, lists, said) -> None:
    Path("list.txt").write_text("nothing.png\n")
    Path("empty").mkdir()
    Path("tars").mkdir()
    Path("tars/0.tar").touch()
    with pytest.raises(DataError) as error:
        find_photos([Path(name) for name in places], lists=[Path(name) for name in lists])
    assert said in str(error.value)


def test_a_name_that_is_no_utf8_and_a_pipe_stop_nobody(place) -> None:
    (place / os.fsdecode(b"photos/caf\xe9.png")).write_bytes(picture(5))
    os.mkfifo("photos/pipe.png")
    summary = job(Path("photos"), Scripted(), place / "c.jsonl")
    assert summary.count == 4 and summary.other_files == 1
    [row] = [row for row in lines(summary.out) if row["key"] == "caf\\xe9.png"]
    assert (place / row["file"]).read_bytes() == picture(5)
    assert job(Path("photos"), Scripted(), place / "c.jsonl").new == 0


def test_a_folder_whose_name_is_no_utf8(place) -> None:
    folder = place / os.fsdecode(b"photos \xe9")
    Path("photos").rename(folder)
    out = folder / "captions.jsonl"
    with pytest.raises(KeyboardInterrupt):
        job(folder, Scripted(stop_after=1), out)
    assert job(folder, Scripted(), out).count == 3
    assert job(folder, Scripted(), out, redo=["truncated"]).redone == 0
    other = place / "captions.jsonl"
    job(folder, Scripted(), other)
    assert all((place / row["file"]).is_file() for row in lines(other))


def test_a_folder_that_can_not_be_read_is_named(place) -> None:
    if os.geteuid() == 0:
        pytest.skip("root reads every folder")
    Path("photos/in").chmod(0)
    summary = job(Path("photos"), Scripted(), place / "c.jsonl")
    assert [reject["key"] for reject in lines(summary.rejected_file)] == ["in"]


def test_the_file_names_photos_relative_to_itself(place) -> None:
    out = place / "out/deep/captions.jsonl"
    for row in lines(job(Path("photos"), Scripted(), out).out):
        assert not Path(row["file"]).is_absolute() and (out.parent / row["file"]).is_file()


@pytest.mark.parametrize("inside", [True, False])
def test_a_moved_folder_goes_on(place, inside: bool) -> None:
    out = place / ("photos/captions.jsonl" if inside else "captions.jsonl")
    with pytest.raises(KeyboardInterrupt):
        job(Path("photos"), Scripted(stop_after=1), out)
    shutil.move("photos", "archive")
    out = place / ("archive/captions.jsonl" if inside else "captions.jsonl")
    engine = Scripted()
    assert job(Path("archive"), engine, out).count == 3 and engine.asked == ["in/c.png"]
    assert all((out.parent / row["file"]).is_file() for row in lines(out))


def test_other_photos_of_the_same_names_are_not_taken_for_them(place) -> None:
    out = place / "captions.jsonl"
    job(Path("photos"), Scripted(), out)
    before = out.read_bytes()
    shutil.copytree("photos", "others")
    Path("others/b.png").write_bytes(picture(9))
    with pytest.raises(DataError, match=r"b\.png .* is another photo"):
        job(Path("others"), Scripted(), out)
    Path("new").mkdir()
    Path("new/z.png").write_bytes(picture(9))
    with pytest.raises(DataError, match="are others"):
        job(Path("new"), Scripted(), out)
    assert out.read_bytes() == before


def test_single_photos_gather_in_one_file(place) -> None:
    out = place / "captions.jsonl"
    for name in ("photos/a.png", "photos/in/c.png", "photos/a.png"):
        job(find_photos([Path(name)]), Scripted(), out)
    assert [row["key"] for row in lines(out)] == ["a.png", "c.png"]
