"""``vila2 report``: writes the HTML page of a run from its results."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vila2.cli.options import quoted


def report(
    run: Annotated[Path, typer.Argument(help="Folder of a run, or a results.json.")],
    out: Annotated[
        Path | None, typer.Option("--out", help="File of the page; by default RUN/report.html.")
    ] = None,
    open_page: Annotated[bool, typer.Option("--open", help="Show the page in a browser.")] = False,
) -> None:
    """Write the report of a run again, from its results."""
    from vila2.report.page import write_report
    from vila2.report.published_scores import with_published
    from vila2.report.results_page import read_results
    from vila2.report.run_facts import read_facts

    source = _results_file(run)
    page = out if out is not None else source.parent / "report.html"
    results = with_published(read_results(source), source.parent)
    write_report(results, page, read_facts(source.parent))
    typer.echo(str(page))
    if open_page:
        import webbrowser

        if not webbrowser.open(page.resolve().as_uri()):
            typer.echo(f"no browser could be started; open {page} yourself", err=True)


def _results_file(run: Path) -> Path:
    from vila2.errors import RunError
    from vila2.nearest import nearest_path

    if run.is_file():
        return run
    if not run.is_dir():
        near = nearest_path(run)
        hint = f"did you mean {near}?" if near else "`vila2 run RECIPE` makes one and prints its path"
        raise RunError(f"{run}: no such run folder", hint=hint)
    source = run / "results.json"
    if not source.is_file():
        raise RunError(
            f"{run}: no results.json, so the run is not finished (or this is no run folder)",
            hint=f"`vila2 run RECIPE` writes it at its end and goes on where it stopped; "
            f"`vila2 status {quoted(run)}` shows how far it is",
        )
    return source
