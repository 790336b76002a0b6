"""``vila2 reproduce``: repeats the papers' studies on the miniature world and compares the findings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vila2.cli.options import AsJson, Quiet, Verbose, quoted, results_alone
from vila2.cli.tables import show_table

if TYPE_CHECKING:
    from vila2.report.study_results import StudyResult


def reproduce(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME]...",
            help="Names of studies, or vila2 (the tables of VILA²) or vila (the studies of VILA); by default "
            "vila2, or smoke with --quick.",
        ),
    ] = None,
    list_them: Annotated[bool, typer.Option("--list", help="List the studies, but do nothing.")] = False,
    quick: Annotated[
        bool,
        typer.Option("--quick", help="Run small studies, which show that they work and only large effects."),
    ] = False,
    full: Annotated[
        bool, typer.Option("--full", help="Run studies of full size, as by default; this may take hours.")
    ] = False,
    seed: Annotated[
        int, typer.Option("--seed", min=0, help="Seed for everything random, the scenes included.")
    ] = 0,
    seeds: Annotated[
        int,
        typer.Option(
            "--seeds", min=1, max=100, help="Number of seeds, from --seed on; intervals are then over seeds."
        ),
    ] = 1,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder of the run; by default runs/reproduce.")
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Repeat the papers' tables and studies in miniature, and say whether the findings agree.

    Models that several studies share are trained once. The same command continues after a stop.
    """
    from vila2.studies import STUDIES
    from vila2.studies.reproduce import find_studies, reproduce as do

    if quick and full:
        raise typer.BadParameter("give either --quick or --full")
    studies = list(STUDIES.values()) if list_them and not names else find_studies(names or [], quick=quick)
    if list_them:
        _print_list(studies, as_json)
        return
    from vila2.run.displays import live_progress
    from vila2.studies.base import FULL, QUICK

    folder = out or Path("runs/reproduce")
    with results_alone():
        outcome = do(
            studies,
            folder,
            size=QUICK if quick else FULL,
            seeds=range(seed, seed + seeds),
            progress=live_progress(quiet=quiet),
        )
    if as_json:
        typer.echo(json.dumps({"folder": str(folder), **outcome}, ensure_ascii=False))
        return
    for study in outcome["results"]["studies"]:
        _print_study(study)
    typer.echo(f"report: {quoted(outcome['report'])}")


def _print_list(studies: list[Any], as_json: bool) -> None:
    rows = [
        {"name": s.name, "title": s.title, "section": s.section, "finding": s.finding, "arms": len(s.arms)}
        for s in studies
    ]
    if as_json:
        typer.echo(json.dumps({"studies": rows}, ensure_ascii=False))
        return
    for row in rows:
        typer.echo(f"{row['name']}: {row['title']} ({row['section']})")
        typer.echo(f"    {row['finding']}")


def _print_study(study: StudyResult) -> None:
    from vila2.report.studies_page import study_table

    headings, rows = study_table(study, short=True)
    typer.echo(f"\n{study['name']}: {study['title']} ({study['section']})")
    typer.echo(f"the paper: {study['finding']}")
    show_table(headings, rows)
    typer.echo(f"ours: {study['sentence']}")
    for one in study["expectations"]:
        typer.echo(f"    {one['answer']}: {one['expected']} ({one['found']})")
