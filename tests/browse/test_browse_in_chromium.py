"""The page in a headless Chromium: keys, corrections, hostile texts, and no sideways scrolling.

With VILA2_SCREENSHOTS=FOLDER, pictures of the pages are kept there to be looked at.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browse.browsing import Reader, browsing, described
from tests.browse.chromium import BROWSER, LOADED, Tab, chromium

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no chromium here to show the pages")


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Tab, Reader]]:
    folder = tmp_path_factory.mktemp("chromium")
    dataset = described(folder / "set")
    with browsing(dataset.folder) as reader, chromium(folder / "profile") as tab:
        yield tab, reader


def test_keys_go_through_the_grid_and_from_sample_to_sample(shown: tuple[Tab, Reader]):
    tab, reader = shown
    keys = reader.keys()
    tab.open(reader.url)
    tab.press("j")
    tab.press("ArrowRight")
    tab.press("k")
    tab.press("j")
    assert tab.run("document.activeElement.querySelector('b').textContent") == keys[1]
    tab.press("Enter")
    tab.wait(f"document.querySelector('h1')?.textContent === '{keys[1]}' && {LOADED}")
    tab.press("j")
    tab.wait(f"document.querySelector('h1')?.textContent === '{keys[2]}' && {LOADED}")
    tab.press("b")
    assert tab.run("getComputedStyle(document.querySelector('.places')).display") == "none"
    tab.press("?")
    assert tab.run("document.querySelector('#help').open")
    tab.run("document.querySelector('#help').close()")
    tab.press("/")
    assert tab.run("document.activeElement.id") == "q"
    tab.press("j")  # a letter of the search, no key
    assert tab.run("document.querySelector('#q').value") == "j"
    tab.run("document.activeElement.blur()")
    tab.press("g")
    tab.wait("document.querySelectorAll('.card').length === 40")


def test_a_correction_is_saved_and_stands_there_afterwards(shown: tuple[Tab, Reader]):
    tab, reader = shown
    url = f"{reader.url}sample?key={reader.keys()[5]}"
    tab.open(url)
    form = "document.querySelector('form[data-layer=self-1]')"
    tab.run(f"{form}.closest('details').open = true")
    tab.run(f"{form}.elements.text.value = 'A <b>better</b> caption.'")
    tab.run(f"{form}.elements.mark.value = 'bad'")
    tab.run(f"{form}.requestSubmit()")
    tab.wait(f"{form}.querySelector('.saved').textContent === 'saved: corrected, marked bad'")
    assert "A &lt;b&gt;better&lt;/b&gt; caption." in reader.sample(reader.keys()[5])


def test_boxes_of_a_layer_can_be_hidden(shown: tuple[Tab, Reader]):
    tab, reader = shown
    tab.open(f"{reader.url}sample?key={reader.keys()[2]}")
    shows = "getComputedStyle(g).display !== 'none'"
    seen = f"[...document.querySelectorAll('.places g')].filter((g) => {shows}).length"
    assert tab.run(seen) == 2
    tab.run("document.querySelector('[data-shows=boxes]').click()")
    assert tab.run(seen) == 0


def test_hostile_texts_run_nothing(shown: tuple[Tab, Reader]):
    tab, reader = shown
    tab.open(f"{reader.url}sample?key={reader.keys()[0]}")
    assert "<script>document.title='hacked'</script>" in tab.run("document.body.textContent")
    tab.run("new Promise((done) => setTimeout(done, 300))")
    assert "hacked" not in tab.run("document.title")
    assert tab.run("document.querySelectorAll('img[src=x], main script').length") == 0
    # Not even a script that got in would run.
    image = "<img src=x onerror=\"document.title='hacked'\">"
    tab.run(f"document.body.insertAdjacentHTML('beforeend', {json.dumps(image)})")
    tab.run("new Promise((done) => setTimeout(done, 300))")
    assert "hacked" not in tab.run("document.title")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("page", ["grid", "sample"])
def test_no_page_of_the_browser_scrolls_sideways(
    shown: tuple[Tab, Reader], page: str, width: int, dark: bool
):
    tab, reader = shown
    tab.look(width, 900, dark=dark)
    tab.open(
        reader.url
        + ("?layer=self-1&fate=contradicted" if page == "grid" else f"sample?key={reader.keys()[2]}")
    )
    seen = "[...document.images].filter((one) => one.getBoundingClientRect().top < innerHeight)"
    tab.wait(f"{seen}.every((one) => one.complete)")
    assert tab.run("document.scrollingElement.scrollWidth") <= width
    ground = tab.run("getComputedStyle(document.body).backgroundColor")
    assert ground == ("rgb(21, 23, 27)" if dark else "rgb(255, 255, 255)")
    if folder := os.environ.get("VILA2_SCREENSHOTS"):
        tab.picture(Path(folder) / f"{page}-{width}-{'dark' if dark else 'light'}.png")
