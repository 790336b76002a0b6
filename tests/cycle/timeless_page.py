"""A report without its times and its machine, which differ from run to run."""

import re
from pathlib import Path


def timeless(page: Path) -> str:
    text, found, _ = page.read_text(encoding="utf-8").partition('<section id="made"')
    assert found, f"{page} does not say how it was made"
    return re.sub(r'<p class="kicker">.*?</p>', "", text)
