"""Tools: what nobody trains annotates photos, datasets and runs, and its layer is merged."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from PIL import Image, ImageDraw
from typer.testing import CliRunner

from tests.plugin.tiny_tool import install_dark
from vila2.cli.main import app
from vila2.data.layers import Layer
from vila2.data.sample import BoxPart, ImagePart, Sample, assistant, user
from vila2.data.shards import ShardDataset, write_dataset
from vila2.errors import PluginError
from vila2.specialist.tool_annotating import ToolInUse, annotate_with_tool


def picture(box: tuple[int, int, int, int] | None, *, damaged: bool = False) -> bytes:
    image = Image.new("RGB", (40, 20), "white")
    if box:
        ImageDraw.Draw(image).rectangle((box[0], box[1], box[2] - 1, box[3] - 1), fill="black")
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()[:60] if damaged else file.getvalue()


@pytest.fixture
def site(tmp_path, monkeypatch):
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.chdir(tmp_path)
    yield folder
    sys.modules.pop("vila2_dark", None)


@pytest.fixture
def photos(tmp_path):
    """Twelve photos, a quarter of each dark, but none of the last."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(11):
        (folder / f"p{number:02d}.png").write_bytes(picture((0, 0, 20, 10)))
    (folder / "p11.png").write_bytes(picture(None))
    return folder


def command(*arguments: object, code: int = 0) -> str:
    done = CliRunner().invoke(app, [*map(str, arguments)])
    assert done.exit_code == code, done.output
    return done.stdout if not code else done.output


def test_photos_are_annotated_and_merged_without_any_model(site, photos, tmp_path):
    install_dark(site)
    (photos / "broken.png").write_bytes(picture((0, 0, 9, 9), damaged=True))
    (photos / "p00.txt").write_text("A dark part.")
    found = json.loads(command("annotate", photos, "--plugin", "dark", "--json", "-q"))
    assert found["statuses"] == {"ok": 11, "empty": 1} and found["claims"] == {"object": 11}
    assert found["layer"] == "photos-dataset/layers/dark"
    dataset = ShardDataset.open(tmp_path / "photos-dataset")
    assert "broken" in (dataset.folder / "rejected.jsonl").read_text()
    (row,) = Layer.open(found["layer"]).get("p00")
    assert row.text == "There is a dark part at [0.000,0.000,0.500,0.500]."
    assert row.turns[1].parts[1] == BoxPart((0.0, 0.0, 0.5, 0.5))
    assert row.text[row.claims[0].start : row.claims[0].end] == "a dark part"
    merged = json.loads(command("merge", dataset.folder, "--layers", "original,dark", "--json", "-q"))
    assert merged["sources"]["dark"]["exchanges"]["kept"] == 11
    questions = {row.turns[0].text for row in Layer.open(merged["layer"]).rows() if row.turns}
    assert {"Where is it dark?", "Which part is dark?"} <= questions


def test_a_layer_tells_its_tools_terms_and_an_export_keeps_to_them(site, photos, tmp_path):
    install_dark(site, instead=('summary="', 'licence="CC BY-ND 4.0", summary="'))
    command("annotate", photos, "--plugin", "dark", "-q")
    assert Layer.open(tmp_path / "photos-dataset/layers/dark").info["license"] == "CC BY-ND 4.0"
    ask = ("export", "photos-dataset", "out", "--to", "llava", "--layer", "dark", "-q")
    assert "forbids changed copies" in command(*ask, code=2)
    assert "11 rows" in command(*ask, "--despite-licenses")


def test_the_same_command_again_does_nothing_and_other_settings_are_refused(site, photos):
    install_dark(site)
    first = command("annotate", photos, "--plugin", "dark", "--json")
    assert command("annotate", photos, "--plugin", "dark", "--json") == first
    told = command("annotate", photos, "--plugin", "dark", "--set", "darkest=3", code=2)
    assert "darkest: 100 there, 3 now" in told
    told = command("annotate", photos, "--plugin", "dark", "--set", "darkness=3", code=2)
    assert "plugin 'dark' (vila2-dark 1.0) has no such setting" in told and "'darkest'" in told
    (photos / "p12.png").write_bytes(picture(None))
    assert "not of these photos as they are now" in command("annotate", photos, "-p", "dark", code=2)


def test_one_image_on_which_it_fails_is_a_row_and_stops_nothing(site, photos):
    install_dark(site)
    found = json.loads(command("annotate", photos, "-p", "dark", "--set", "fails_on=p07", "--json"))
    assert found["statuses"] == {"ok": 10, "empty": 1, "error": 1}
    (row,) = Layer.open(found["layer"]).get("p07")
    assert row.status == "error" and "(vila2-dark 1.0), on p07: ValueError: cannot look at p07" in row.detail


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("return find", "return lambda seen: 3", "gave 3"),
        ('status="empty"', 'status="nothing"', "unknown status 'nothing'"),
        ("boxes=(box,)", "boxes=((0.5, 0, 0.1, 1),)", "swapped"),
        ("boxes=(box,)", "boxes=((0, 0, 40, 20),)", "not within the image"),
        ("BoxPart(box)", "BoxPart((0, 0, 1))", "instead of 4 numbers"),
        ('kind="object"', 'kind="text"', "'text', which is not among its `claims`"),
        ("if not len(rows)", "raise SystemExit(1)\n        if not len(rows)", "SystemExit"),
    ],
)
def test_what_the_contract_does_not_allow_is_an_error_of_that_image(site, photos, old, new, told):
    install_dark(site, instead=(old, new))
    found = json.loads(command("annotate", photos, "-p", "dark", "--json"))
    details = [row.detail for row in Layer.open(found["layer"]).rows() if row.status == "error"]
    assert details and all(told in detail and "vila2-dark 1.0" in detail for detail in details)


def test_a_dataset_is_annotated_in_parts_as_in_one_piece(site, photos, tmp_path):
    install_dark(site)
    for name in ("one", "shared"):
        samples = [
            Sample(path.stem, (path.read_bytes(),), (user(ImagePart(0)), assistant("a photo")))
            for path in sorted(photos.iterdir())
        ]
        write_dataset(tmp_path / name, samples, name="photos", shard_size=4)
    command("annotate", "one", "--plugin", "dark", "-q")
    asked = ["annotate", "shared", "--plugin", "dark", "-q", "--part"]
    told = json.loads(command(*asked, "2/2", "--json"))
    assert told == {"layer": "shared/layers/dark", "part": "2/2", "left": 2, "shards": 3}
    assert "12 images" in command(*asked, "1/2")
    whole, shared = (
        {path.name: path.read_bytes() for path in (tmp_path / name / "layers" / "dark").iterdir()}
        for name in ("one", "shared")
    )
    assert shared == whole
    assert "whole layer" in command(*asked, "1/2", "--replace", code=2)
    assert "data import" in command("annotate", photos, "--plugin", "dark", "--part", "1/2", code=2)


def test_a_tool_that_fails_again_and_again_stops_the_job_and_is_named(site, photos):
    install_dark(site)
    for number in range(20, 60):
        (photos / f"bad-{number}.png").write_bytes(picture(None))
    told = command("annotate", photos, "-p", "dark", "--set", "fails_on=bad", code=2)
    assert "plugin 'dark' (vila2-dark 1.0) failed for 16 images in a row" in " ".join(told.split())


def test_a_tool_that_cannot_be_opened_is_named(site, photos):
    install_dark(site, instead=("def open_finder(settings):", "def open_finder(settings):\n    return 3"))
    with pytest.raises(PluginError, match=r"\(vila2-dark 1.0\), annotate: gave 3"):
        ToolInUse.find("dark").open()


def test_what_a_tool_has_no_use_for_is_refused(site, photos):
    install_dark(site)
    assert "'dark' is a tool" in command("annotate", photos, "-p", "dark", "--seed", 1, code=2)
    told = " ".join(command("specialize", "--plugin", "dark", "--from", "nothing", code=2).split())
    assert "is a tool, which nobody trains" in told and "vila2 annotate DATASET --plugin dark" in told


def test_a_service_is_asked_about_several_images_at_once(site, photos):
    """Twelve answers that take 0.2 s each come in less than a third of the time."""
    busy = 0
    most = 0
    lock = threading.Lock()

    class Service(BaseHTTPRequestHandler):
        def do_POST(self):
            nonlocal busy, most
            with lock:
                busy += 1
                most = max(most, busy)
            self.rfile.read(int(self.headers["Content-Length"]))
            time.sleep(0.2)
            with lock:
                busy -= 1
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        install_dark(site, at_once=6)
        url = f"http://127.0.0.1:{server.server_port}"
        found = json.loads(command("annotate", photos, "-p", "dark", "--set", f"service={url}", "--json"))
    finally:
        server.shutdown()
    assert found["statuses"] == {"ok": 11, "empty": 1} and most > 2
    assert [row.key for row in Layer.open(found["layer"]).rows()] == [f"p{n:02d}" for n in range(12)]


def test_a_killed_job_goes_on_and_ends_with_the_same_layer(site, photos, tmp_path):
    slow = ("    def find(seen):", "    def find(seen):\n        import time; time.sleep(0.1)")
    install_dark(site, instead=slow)
    dataset = tmp_path / "photos-dataset"
    path = os.pathsep.join([str(site), *filter(None, sys.path)])
    asked = [sys.executable, "-m", "vila2", "annotate", str(photos), "--plugin", "dark", "-q"]
    process = subprocess.Popen(asked, cwd=tmp_path, env=os.environ | {"PYTHONPATH": path})
    journal = dataset / "layers" / "dark" / "000000.partial.jsonl"
    while not (journal.exists() and journal.stat().st_size):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (journal.parent / "layer.json").exists()
    resumed = Layer.open(json.loads(command("annotate", photos, "-p", "dark", "--json"))["layer"])
    whole = annotate_with_tool(
        ShardDataset.open(dataset), ToolInUse.find("dark"), folder=tmp_path / "undisturbed"
    )
    assert resumed.digest == whole.digest and resumed.count == 12
