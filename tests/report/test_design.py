"""The pages' design: contrasts, colors for the color-blind, names of tables and charts, nothing external."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import math
import re
import shutil
import subprocess
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import pytest

from tests.report.report_results import DOT, change, small
from tests.report.test_judge_page import results as judged
from tests.report.test_report_page import Page
from vila2.data.sample import BoxPart, ImagePart, Sample, Turn, user
from vila2.report.judge_page import write_judge_page
from vila2.report.page import render_page
from vila2.report.preview import preview_samples
from vila2.report.preview_page import page as preview_page
from vila2.report.studies_page import write_studies_page

PROJECT = Path(__file__).parents[2]
Color = tuple[float, float, float]


def report_page(_: Path) -> str:
    return render_page(small())


def crowded_report(_: Path) -> str:
    """Eight models, all compared with the last."""
    results = small()
    model = results["models"][0]
    results["models"] = [model | {"name": f"model-{n}"} for n in range(8)]
    pairs = [{"from": f"model-{n}", "to": "model-7"} for n in range(7)]
    results["changes"] = [change("object precision", 0.1, 0.05) | pair for pair in pairs]
    return render_page(results)


def judge_page(folder: Path) -> str:
    write_judge_page(judged(), folder / "judge.html")
    return (folder / "judge.html").read_text(encoding="utf-8")


def studies_page(folder: Path) -> str:
    results = json.loads((PROJECT / "docs/vila2-tables.json").read_text(encoding="utf-8"))
    write_studies_page(results, folder / "studies.html")
    return (folder / "studies.html").read_text(encoding="utf-8")


def a_preview(_: Path) -> str:
    image = base64.b64decode(DOT.partition(",")[2])
    turns = (user(ImagePart(), "where?"), Turn("assistant", (BoxPart((0.1, 0.2, 0.3, 0.4)),)))
    return preview_page(
        "<b>set</b>", "1 sample", preview_samples([Sample("k", (image,), turns)], None, "chat")
    )


PAGES: dict[str, Callable[[Path], str]] = {
    "report": report_page,
    "crowded": crowded_report,
    "judge": judge_page,
    "studies": studies_page,
    "preview": a_preview,
}


@pytest.fixture(params=PAGES)
def page(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return PAGES[request.param](tmp_path)


def test_every_page_has_one_heading_a_language_and_a_way_to_skip_to_its_content(page: str) -> None:
    tags = Page(page).tags
    names = [tag for tag, _ in tags]
    assert [names.count(name) for name in ("h1", "main", "title")][:2] == [1, 1]
    assert dict(tags)["html"]["lang"] == "en" and dict(tags)["main"]["id"] == "main"
    levels = [int(name[1]) for name in names if re.fullmatch("h[1-6]", name)]
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels)), levels
    ids = [own["id"] for _, own in tags if "id" in own]
    assert len(ids) == len(set(ids))
    for _, own in tags:
        for target in [*(own.get("aria-labelledby") or "").split(), (own.get("href") or "")[1:]]:
            assert not target or target in ids, target


def test_every_table_has_a_caption_and_headings_and_scrolls_in_a_box_that_keys_reach(page: str) -> None:
    for table in re.findall(r"<table.*?</table>", page, re.DOTALL):
        assert re.match(r"<table[^>]*>\s*<caption>\s*\S", table)
        assert all("scope=" in heading for heading in re.findall(r"<th[ >][^>]*", table))
    boxes = [own for _, own in Page(page).tags if "scroll" in (own.get("class") or "").split()]
    assert len(boxes) >= page.count("<table")
    assert all(own["tabindex"] == "0" and own["role"] == "region" and own["aria-label"] for own in boxes)


def test_every_picture_has_a_text_or_is_hidden_from_those_who_listen(page: str) -> None:
    for tag, own in Page(page).tags:
        if tag == "svg":
            named = own.get("role") == "img" and own.get("aria-label")
            assert named or own.get("aria-hidden") == "true"
        assert tag != "img" or own.get("alt")


def test_the_policy_lets_in_nothing_but_the_pages_own_styles(page: str) -> None:
    [policy] = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)
    assert "default-src 'none'" in policy and "unsafe" not in policy and "script" not in policy
    for style in re.findall(r"<style>(.*?)</style>", page, re.DOTALL):
        assert f"'sha256-{base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()}'" in policy
    assert "<script" not in page and " style=" not in page
    assert not re.findall(r'(?:src|href)="(?!#|data:image/)', page)


def test_runs_with_many_comparisons_get_tables_of_changes(tmp_path: Path) -> None:
    page = crowded_report(tmp_path)
    assert "How model-7 differs from other models" in page
    assert re.findall(r'<th scope="col"[^>]*>from (.*?)</th>', page) == [f"model-{n}" for n in range(7)]


def colors(css: str, *, dark: bool) -> dict[str, Color]:
    """The variables of a style sheet in one color scheme."""
    light, _, rest = css.partition("@media (prefers-color-scheme: dark)")
    found = dict(re.findall(r"--([a-z0-9-]+): #([0-9a-f]{6});", light))
    if dark:
        found |= dict(re.findall(r"--([a-z0-9-]+): #([0-9a-f]{6});", rest.partition("\n}")[0]))
    return {name: tuple(int(code[n : n + 2], 16) / 255 for n in (0, 2, 4)) for name, code in found.items()}


def linear(color: Color) -> Color:
    return tuple(c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in color)


def contrast(one: Color, other: Color) -> float:
    """WCAG 2.2: relative luminance, 1 to 21."""
    weights = (0.2126, 0.7152, 0.0722)
    bright, dim = sorted(
        (sum(w * c for w, c in zip(weights, linear(color), strict=True)) for color in (one, other)),
        reverse=True,
    )
    return (bright + 0.05) / (dim + 0.05)


STYLES = [("report", "page.css"), ("judge", "page.css")]
TEXT = ("ink", "quiet", "accent", "fact", "wrong", "space", "better", "worse", "changed")
ON_OWN_GROUND = (("fact", "fact-ground"), ("wrong", "wrong-ground"), ("space", "space-ground"))


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize(("room", "name"), STYLES, ids=["pages", "judging"])
def test_text_stands_out_from_its_ground(room: str, name: str, dark: bool) -> None:
    own = colors((files(f"vila2.{room}") / name).read_text(encoding="utf-8"), dark=dark)
    for text in TEXT:
        assert text not in own or contrast(own[text], own["paper"]) >= 4.5, text
    pairs = [*ON_OWN_GROUND, ("ink", "trained-ground"), ("ink", "faint"), ("quiet", "faint")]
    for text, ground in pairs:
        assert ground not in own or contrast(own[text], own[ground]) >= 4.5, (text, ground)
    for curve in (name for name in own if name.startswith("curve-")):
        assert contrast(own[curve], own["paper"]) >= 4.5, curve


# Machado, Oliveira and Fernandes 2009, severity 1; of linear RGB.
BLINDNESS = {
    "protanopia": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deuteranopia": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
}


def seen(color: Color, matrix: tuple[Color, ...]) -> tuple[float, float, float]:
    """A color as CIE L*a*b*, as seen through a matrix."""
    rgb = linear(color)
    red, green, blue = (max(0.0, sum(w * c for w, c in zip(row, rgb, strict=True))) for row in matrix)
    x = (0.4124 * red + 0.3576 * green + 0.1805 * blue) / 0.9505
    y = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    z = (0.0193 * red + 0.1192 * green + 0.9505 * blue) / 1.089
    fx, fy, fz = (v ** (1 / 3) if v > 0.008856 else 7.787 * v + 16 / 116 for v in (x, y, z))
    return 116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("kind", BLINDNESS)
@pytest.mark.parametrize(
    "group",
    [("better", "worse"), ("fact", "wrong", "space"), tuple(f"curve-{n}" for n in range(5))],
    ids=["changes", "marks", "curves"],
)
def test_colors_that_mean_different_things_differ_for_the_color_blind(
    group: tuple[str, ...], kind: str, dark: bool
) -> None:
    own = colors((files("vila2.report") / "page.css").read_text(encoding="utf-8"), dark=dark)
    for one, other in itertools.combinations(group, 2):
        distance = math.dist(seen(own[one], BLINDNESS[kind]), seen(own[other], BLINDNESS[kind]))
        assert distance >= 12, (one, other, round(distance, 1))


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("name", PAGES)
def test_no_page_scrolls_sideways(name: str, width: int, tmp_path: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no chromium here to lay the pages out")
    # The page's own policy forbids scripts: a copy without it tells its width to the frame around it.
    free = re.sub(r"<meta http-equiv[^>]*>", "", PAGES[name](tmp_path))
    probe = "<script>parent.postMessage(document.scrollingElement.scrollWidth, '*')</script></body>"
    (tmp_path / "page.html").write_text(free.replace("</body>", probe), encoding="utf-8")
    frame = (
        f"<iframe src='page.html' width={width} height=900 style='border:0'></iframe><p id=said>nothing</p>"
        "<script>addEventListener('message', (told) => "
        "{ document.getElementById('said').textContent = told.data; });</script>"
    )
    (tmp_path / "frame.html").write_text(frame, encoding="utf-8")
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
    command += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    command += [f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=3000", "--dump-dom"]
    done = subprocess.run(
        [*command, (tmp_path / "frame.html").as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    [found] = re.findall(r'<p id="said">(\w+)</p>', done.stdout)
    assert int(found) <= width
