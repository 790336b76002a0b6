"""Plugins with one fault each: how they are made, and those that are wrong as soon as they are loaded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.plugin.packages import PARTS, RECIPE, SPECIALIST, install

HOOK = "from vila2.plugin import Specialist, hookimpl\n\n@hookimpl\ndef vila2_{}:\n    {}\n"
BUILD = "    def build(self, shard): yield from ()\n"
BRINGS = {"engine": "opened", "source": "read", "benchmark": "score"}


@dataclass(frozen=True)
class Wrong:
    """A plugin and the way to meet its fault.

    Attributes:
        name: name of its entry point; its package is ``vila2-NAME``.
        kind: what the entry point brings; "build", "metrics" and "after" are specialists and hooks that load.
        code: its module; "" writes no module.
        says: what the error must say.
        hint: what the hint must say.
        requires: the package's requirement.
    """

    name: str
    kind: str
    code: str
    says: str
    hint: str = "author"
    requires: str = "vila2>=0.1,<0.2"


def specialist(name: str, **fields: object) -> str:
    """The module of a complete specialist, with other or further fields."""
    code = SPECIALIST.format(name=name, module=f"vila2_{name}") + PARTS
    more = "".join(f"{field}={value!r}, " for field, value in fields.items())
    return code.replace('summary="Counts.", ', f'summary="Counts.", {more}')


def engine(body: str, head: str = "name = digest = 'w'") -> str:
    return (
        "import sys\nfrom vila2.engine.protocol import RequestsRefused\nfrom vila2.plugin import Answer\n\n"
        f"class Engine:\n    {head}\n    def generate(self, requests, settings):\n        {body}\n\n"
        "def opened(model, **options):\n    return Engine()\n"
    )


def source(body: str) -> str:
    return f"from vila2.plugin import Reject, Sample, user\n\ndef read(*, start=0, count=3):\n    {body}\n"


def benchmark(body: str) -> str:
    head = "from vila2.plugin import Items\n\ndef score(asked):\n    keys = [a.said.key for a in asked]\n"
    return f"{head}    {body}\n"


def built(name: str, body: str) -> str:
    body = f"from vila2.plugin import Reject, Sample, user; {body}"
    return specialist(name).replace(BUILD, f"    def build(self, shard):\n        {body}\n")


UPGRADE = "upgrade vila2"
#: The faults of a plugin that is loaded.
LOADED = [
    Wrong(
        "raises",
        "plugin",
        "raise RuntimeError('out of order')",
        "RuntimeError: out of order",
        "switch it off",
    ),
    Wrong("exits", "plugin", "import sys; sys.exit(3)", "SystemExit: 3", "switch it off"),
    Wrong("stops", "plugin", "raise KeyboardInterrupt", "KeyboardInterrupt", "switch it off"),
    Wrong("strange", "plugin", "class Odd(BaseException): ...\nraise Odd('x')", "Odd: x", "switch it off"),
    Wrong("lacks", "plugin", "import nothing_like_this", "No module named", "'nothing_like_this'"),
    Wrong("absent", "plugin", "", "No module named 'vila2_absent'", "install what it needs"),
    Wrong("unparsed", "plugin", "def", "SyntaxError", "switch it off"),
    Wrong(
        "later_name", "plugin", "from vila2.plugin import Hologram", "cannot import name 'Hologram'", UPGRADE
    ),
    Wrong("private", "plugin", "import vila2.plugin.holograms", "vila2.plugin.holograms", UPGRADE),
    Wrong("hookless", "plugin", "x = 1", "implements no hook", "vila2_specialists"),
    Wrong("slip", "plugin", HOOK.format("specialist()", "return []"), "does not have", "'vila2_specialists'"),
    Wrong("later_hook", "plugin", HOOK.format("dreams()", "return []"), "'vila2_dreams'", UPGRADE),
    Wrong("old_hook", "plugin", HOOK.format("engines()", "return {}"), "entry points", '"vila2.engines"'),
    Wrong("argument", "plugin", HOOK.format("specialists(colour)", "return []"), "colour", UPGRADE),
    Wrong(
        "zero", "plugin", HOOK.format("specialists()", "return 1 / 0"), "vila2_specialists: ZeroDivisionError"
    ),
    Wrong("letter", "plugin", HOOK.format("specialists()", "return 'abc'"), "gave 'abc'", "a list"),
    Wrong(
        "other",
        "plugin",
        specialist("else").replace("vila2_else", "vila2_other"),
        "'other' but 'else'",
        "same",
    ),
    Wrong("later_field", "plugin", specialist("later_field", hologram=1), "hologram", UPGRADE),
    Wrong("slip_field", "plugin", specialist("slip_field", licenze=""), "licenze", "'licence'"),
    Wrong("later_contract", "plugin", specialist("later_contract", api_version=9), "version 9", UPGRADE),
    Wrong(
        "old_contract", "plugin", specialist("old_contract", api_version=1), "version 1", "upgrade vila2-old"
    ),
    Wrong("later_core", "plugin", specialist("later_core"), "needs vila2>=0.9", UPGRADE, "vila2>=0.9"),
    Wrong("old_core", "plugin", specialist("old_core"), "needs vila2<0.1", "upgrade vila2-old", "vila2<0.1"),
]


def install_all(site: Path, plugins: list[Wrong]) -> None:
    """Puts each plugin into a package of its own."""
    for one in plugins:
        brought = one.kind in BRINGS
        file = install(
            site,
            f"vila2-{one.name}",
            one.code,
            entry=one.name,
            kind=f"{one.kind}s" if brought else "specialists",
            function=BRINGS.get(one.kind, ""),
            requires=one.requires,
            module=f"vila2_{one.name}",
        )
        if not one.code:
            file.unlink()
        if "recipe.yaml" in one.code:
            folder = site / f"vila2_{one.name}_files"
            folder.mkdir()
            (folder / "recipe.yaml").write_text(RECIPE)
