"""``vila2 plugins``: lists, shows and checks the installed plugins, and writes a new one to start from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from vila2.cli.groups import Commands
from vila2.cli.options import AsJson, quoted, results_alone

app = typer.Typer(
    cls=Commands,
    name="plugins",
    help="List, show, check and write plugins: specialists, engines, sources, benchmarks.",
    no_args_is_help=True,
)

PluginName = Annotated[str, typer.Argument(metavar="NAME", help="Name of an installed plugin.")]


@app.command("list")
def list_plugins(as_json: AsJson = False) -> None:
    """List what the installed plugins bring, without importing them."""
    from vila2.plugin.discovery import clashes, everything_installed

    found = everything_installed()
    twice = clashes(found)
    rows = [
        {
            "kind": one.kind,
            "name": one.name,
            "package": one.package,
            "version": one.version,
            "state": "clash" if (one.kind, one.name) in twice else "on" if one.allowed else "off",
            "summary": one.summary,
        }
        for one in found
    ]
    if as_json:
        typer.echo(json.dumps(rows, ensure_ascii=False))
        return
    if not rows:
        typer.echo(
            "no plugin is installed; `pip install` the package of one, `vila2 plugins new NAME` starts one"
        )
    columns = ("name", "kind", "package", "version")
    widths = {key: max((len(row[key]) for row in rows), default=0) for key in columns}
    for row in rows:
        cells = [row[key].ljust(width) for key, width in widths.items()]
        typer.echo("  ".join([*cells, row["state"].ljust(5), row["summary"]]).rstrip())
    for clash in twice.values():
        typer.echo(f"warning: {clash}; neither can be used until one is uninstalled", err=True)


@app.command()
def show(name: PluginName, as_json: AsJson = False) -> None:
    """Show what a plugin supplies: what it reads, its settings, hooks, engines, sources and benchmarks."""
    from vila2.plugin.describing import describe_plugin
    from vila2.plugin.host import Host

    with results_alone():
        found = describe_plugin(Host(), name).to_json()
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False))
        return
    found["settings"] = [_setting(one) for one in found["settings"]]
    width = max(map(len, found))
    for key, value in found.items():
        for line, shown in enumerate(_lines(value)):
            typer.echo(f"{key if line == 0 else '':<{width}}  {shown}")


@app.command()
def check(
    name: PluginName,
    as_json: AsJson = False,
) -> None:
    """Check that a plugin works: it loads, its recipe and mixtures are valid, its names are free."""
    from vila2.engine.registry import ENGINES
    from vila2.evaluate.benchmarks import KINDS
    from vila2.plugin.checks import check_plugin
    from vila2.plugin.host import Host
    from vila2.sources import SOURCES

    with results_alone():
        checks = check_plugin(Host(), name, {"engine": ENGINES, "source": SOURCES, "benchmark": KINDS})
    if as_json:
        typer.echo(json.dumps([check.to_json() for check in checks], ensure_ascii=False))
    else:
        for one in checks:
            typer.echo(f"{'ok  ' if one.passed else 'FAIL'}  {one.what}")
            if one.detail:
                typer.echo("      " + one.detail.replace("\n", "\n      "))
    if not all(one.passed for one in checks):
        raise typer.Exit(1)


@app.command()
def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the plugin, such as counting.")],
    kind: Annotated[
        str,
        typer.Option("--kind", "-k", help="What it brings: specialist, tool, engine, source or benchmark."),
    ] = "specialist",
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write the package into.")] = Path("."),
    summary: Annotated[str, typer.Option("--summary", help="Description of the plugin in one line.")] = "",
    as_json: AsJson = False,
) -> None:
    """Write a complete plugin package to start from, whose tests pass."""
    from vila2.plugin.scaffolding import new_plugin

    folder = new_plugin(name, out, kind=kind, summary=summary)[0].parent
    install, test = f"pip install -e {quoted(f'{folder}[dev]')}", f"pytest {quoted(folder)}"
    if as_json:
        typer.echo(json.dumps({"folder": str(folder), "next": [install, test]}, ensure_ascii=False))
    else:
        typer.echo(f"{quoted(folder)} is written. Next:\n  {install}\n  {test}")


def _setting(one: Mapping[str, str | None]) -> str:
    kind, default = one["type"], one["default"]
    told = "must be given" if default is None else f"default {default}"
    return f"{one['name']}: {kind}, {told}" if kind else f"{one['name']}: {told}"


def _lines(value: Any) -> list[str]:
    if isinstance(value, list | tuple):
        return [str(one) for one in value] or ["none"]
    if isinstance(value, dict):
        return [f"{key}: {one}" for key, one in value.items()] or ["none"]
    return ["none" if value in (None, "") else str(value)]
