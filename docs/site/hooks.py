"""Hooks of the documentation site.

Links in docs/ are right for a reader of the repository. The site has what they lead to: README, CONTRIBUTING
and CHANGELOG become pages, other linked files are copied below ``source/``, a linked folder becomes a page
that lists its files. Two pages of reference are made from the code.
"""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
#: Files beside docs/ that are pages of the site.
PAGES = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
_LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)([^)\s#]+)(#[^)\s]*)?(?=\))")


def on_files(files: Any, config: Any) -> Any:
    """Adds what is not in docs/: pages, copies of linked files, lists of linked folders, references."""
    from mkdocs.structure.files import File

    for name, page in PAGES.items():
        text = (ROOT / name).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=_moved(text, ROOT)))
    for linked in sorted(_linked_files()):
        inside = linked.relative_to(ROOT).as_posix()
        if linked.is_dir():
            files.append(File.generated(config, f"source/{inside}/index.md", content=_listing(linked)))
        else:
            place = f"source/{inside}{_ending(linked)}"
            files.append(File.generated(config, place, abs_src_path=str(linked)))
    files.append(File.generated(config, "reference-cli.md", content=cli_reference()))
    files.append(File.generated(config, "reference-api.md", content=api_reference()))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Turns links of docs/ that leave it to where the site has their targets."""
    made = page.file.src_uri in PAGES.values() or page.file.src_uri.startswith(("source/", "reference-"))
    return markdown if made else _moved(markdown, ROOT / "docs")


def _moved(text: str, folder: Path) -> str:
    """A page's text with its links as the site has them; ``folder`` holds the page in the repository."""

    def place(found: re.Match[str]) -> str:
        target = (folder / found[1]).resolve()
        return (_on_site(target) or found[1]) + (found[2] or "")

    return _LINK.sub(place, text)


def _on_site(target: Path) -> str:
    """Where the site has a file of the repository, from the site's root; "" for what is no such file."""
    if not target.is_relative_to(ROOT) or not target.exists():
        return ""
    inside = target.relative_to(ROOT).as_posix()
    if inside in PAGES:
        return PAGES[inside]
    if inside.startswith("docs/"):
        return inside.removeprefix("docs/")
    return f"source/{inside}/index.md" if target.is_dir() else f"source/{inside}{_ending(target)}"


def _ending(path: Path) -> str:
    """What is added to a file's name: Markdown that is no page is shown as text."""
    return ".txt" if path.suffix == ".md" else ""


def _linked_files() -> Iterator[Path]:
    """Files and folders outside docs/ that a page links, each once; those of a linked folder too."""
    seen: set[Path] = set()
    for page in [*(ROOT / name for name in PAGES), *sorted((ROOT / "docs").glob("*.md"))]:
        for found in _LINK.finditer(page.read_text(encoding="utf-8")):
            target = (page.parent / found[1]).resolve()
            inside = _on_site(target)
            if inside.startswith("source/"):
                seen.add(target)
                seen |= set(_shown(target)) if target.is_dir() else set()
    yield from seen


def _shown(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))


def _listing(folder: Path) -> str:
    name = folder.relative_to(ROOT).as_posix()
    lines = [f"- [{path.name}]({path.name}{_ending(path)})" for path in _shown(folder)]
    return "\n".join([f"# {name}", "", *lines, ""])


def cli_reference() -> str:
    """Every command with its own help."""
    import typer

    from vila2.cli.main import app

    os.environ["COLUMNS"] = os.environ["TERMINAL_WIDTH"] = "100"
    root = typer.main.get_command(app)
    lines = ["# Commands, every option", "", "Made from the code: what `--help` says.", ""]
    for words, command in _commands(("vila2",), root):
        context = command.make_context(words[-1], [], resilient_parsing=True)
        context.info_name = " ".join(words)
        lines += [f"## {' '.join(words)}", "", "```text", command.get_help(context).rstrip(), "```", ""]
    return "\n".join(lines)


def _commands(words: tuple[str, ...], command: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield words, command
    for name in getattr(command, "commands", ()):
        yield from _commands((*words, name), command.commands[name])


def api_reference() -> str:
    """Every name of the public faces, with its signature and its docstring."""
    import vila2
    import vila2.plugin

    lines = ["# Functions and types", "", "Made from the code.", ""]
    for module in (vila2, vila2.plugin):
        lines += [f"## {module.__name__}", ""]
        for name in sorted(set(module.__all__) - {"__version__"}):
            lines += _entry(name, getattr(module, name))
    return "\n".join(lines)


def _entry(name: str, thing: Any) -> list[str]:
    head = [f"{name}{inspect.signature(thing)}", ""] if inspect.isfunction(thing) else []
    told = inspect.getdoc(thing) if inspect.isfunction(thing) or inspect.isclass(thing) else repr(thing)
    return [f"### {name}", "", "```text", *head, told or "", "```", ""]
