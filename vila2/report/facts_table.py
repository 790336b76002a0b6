"""The page's section on how a run was made, as rows of text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vila2.report.dates import written_date
from vila2.report.results_page import Results
from vila2.report.run_facts import Circumstances, RunFacts, StepTime
from vila2.run.board import duration


@dataclass(frozen=True, slots=True)
class StepRow:
    """One step: its name, its duration in words, its share of all time (0..1), and when it finished."""

    name: str
    duration: str
    share: float
    finished: str


def fact_rows(results: Results, facts: RunFacts | None) -> tuple[tuple[str, str], ...]:
    """What is known of the run: (term, text) in the order of the page."""
    rows = [("recipe", results.recipe.name), ("seed", str(results.recipe.seed))]
    if facts is not None and facts.finished is not None:
        total = sum(step.seconds for step in facts.steps)
        rows.append(("finished", written_date(facts.finished)))
        rows.append(("computing time", f"{duration(total)} in {len(facts.steps)} steps"))
    made = facts.made if facts is not None else None
    if made is None:
        return (*rows, ("vila2", results.vila2_version), ("machine", "not noted"))
    return (*rows, *_made_rows(made))


def step_rows(facts: RunFacts | None) -> tuple[StepRow, ...]:
    """A row for every step, in the order in which they finished."""
    steps: Sequence[StepTime] = facts.steps if facts is not None else ()
    total = sum(step.seconds for step in steps) or 1.0
    return tuple(
        StepRow(step.name, duration(step.seconds), step.seconds / total, written_date(step.finished))
        for step in steps
    )


def _made_rows(made: Circumstances) -> list[tuple[str, str]]:
    machine = made.machine
    cores = f"{machine.cores} core{'' if machine.cores == 1 else 's'}"
    versions = [f"{name} {version}" for name, version in made.versions.items()]
    return [
        ("processor", f"{machine.cpu}, {cores}, {machine.memory} memory"),
        ("GPU", ", ".join(machine.gpus) or "none"),
        ("system", machine.system),
        ("versions", ", ".join(versions)),
        ("commit of vila2", made.commit or "not known"),
    ]
