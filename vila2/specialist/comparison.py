"""The results of a finished specialist: its measures beside the generalist's, and answers side by side."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from vila2 import __version__
from vila2.data.atomic import write_json_atomic
from vila2.data.images import image_data_uri
from vila2.data.shards import ShardDataset
from vila2.evaluate.measures.stored import scored_items
from vila2.report.page import write_report
from vila2.report.run_facts import record_facts
from vila2.specialist.making_steps import HELD_OUT, BuildResults
from vila2.specialist.result_rows import (
    ChangeRow,
    ModelRow,
    RecipeRow,
    change_row,
    left_out_notes,
    stage_rows,
)
from vila2.specialist.specialist_job import recipe_text

if TYPE_CHECKING:
    from vila2.specialist.making import Made
    from vila2.specialist.specialist_job import Job

#: Number of questions that the page shows.
_EXAMPLES = 12


class AnswerRow(TypedDict):
    """The answer of one of the two models to a question."""

    layer: str
    prompt: str
    text: str


class QuestionRow(TypedDict):
    """A held-out question: its image, as a data URI, the true answer, and both models' answers."""

    key: str
    image: str | None
    truth: str
    captions: list[AnswerRow]


class SpecialistResults(TypedDict):
    """The content of a specialist's results.json; :class:`vila2.report.results_page.Results` reads it."""

    title: str
    recipe: RecipeRow
    vila2_version: str
    models: list[ModelRow]
    changes: list[ChangeRow]
    layers: list[object]
    examples: list[QuestionRow]
    examples_title: str
    notes: list[str]


def write_specialist_results(job: Job, made: Made, folder: Path) -> SpecialistResults:
    """Writes ``results.json`` and ``report.html``.

    Args:
        job: what the specialist is made of.
        made: finished steps of the job.
        folder: folder of the specialist.

    Returns:
        The content of results.json.
    """
    before, after = job.origin.name, f"{job.name} specialist"
    results: SpecialistResults = {
        "title": f"The {job.name} specialist of {job.origin.name}",
        "recipe": {"name": job.name, "seed": job.recipe.seed, "text": recipe_text(job)},
        "vila2_version": __version__,
        "models": [
            {"name": before, "round": 0, "stages": [], "measures": made.generalist.results["measures"]},
            {
                "name": after,
                "round": 1,
                "stages": stage_rows(made.stages),
                "measures": made.specialist.results["measures"],
            },
        ],
        "changes": _changes(job, made, before, after),
        "layers": [],
        "examples": _examples(made, before, after),
        "examples_title": "Questions that were held out, and both answers",
        "notes": _notes(job, made),
    }
    write_json_atomic(folder / "results.json", results)
    write_report(results, folder / "report.html", record_facts(folder))
    return results


def _changes(job: Job, made: Made, before: str, after: str) -> list[ChangeRow]:
    """The differences between specialist and generalist, measure by measure, over the same questions."""
    old = scored_items(made.generalist)
    changes = []
    for name, items in scored_items(made.specialist).items():
        row = change_row((job.name, name), (before, after), old.get(name), items, seed=job.recipe.seed)
        changes += [row] if row else []
    return changes


def _examples(made: Made, before: str, after: str) -> list[QuestionRow]:
    """Held-out questions with both answers, spread evenly over all of them; not chosen by eye."""
    old, new = (
        json.loads((step.folder / "said.json").read_text(encoding="utf-8"))
        for step in (made.generalist, made.specialist)
    )
    dataset = ShardDataset.open(made.built.folder / HELD_OUT)
    step = max(1, len(new) // _EXAMPLES)
    examples: list[QuestionRow] = []
    for earlier, later in list(zip(old, new, strict=True))[::step][:_EXAMPLES]:
        key = later["item"].rpartition("#")[0]
        image = next(iter(dataset[dataset.find(key)].images), None)
        answers: list[AnswerRow] = [
            {"layer": name, "prompt": one["question"], "text": one["said"]}
            for name, one in ((before, earlier), (after, later))
        ]
        examples.append(
            {
                "key": later["item"],
                "image": image_data_uri(image) if image else None,
                "truth": later["answer"],
                "captions": answers,
            }
        )
    return examples


def _notes(job: Job, made: Made) -> list[str]:
    built = made.built.results
    samples = ", ".join(f"{count:,} {name}" for name, count in built["samples"].items())
    rejects = ", ".join(f"{reason} {count:,}" for reason, count in built["rejected"].items()) or "none"
    kinds = ", ".join(f"{kind} {found['count']:,}" for kind, found in built["kinds"].items())
    notes = [
        f"Built by {job.plugin.package} {job.plugin.version} from {job.data.path or job.data.source}: "
        f"{samples}.",
        f"Inputs that could not be used: {rejects}.",
        f"Exchanges by kind: {kinds}.",
        f"Training started from the generalist's {job.recipe.start!r} checkpoint; it is compared with the "
        f"generalist as it is at the end of its own training, on {made.specialist.results['questions']:,} "
        "questions about images that the specialist was not trained on.",
    ]
    notes += left_out_notes(made.stages, "Stage").values()
    return notes + ([f"License of the data: {job.specialist.licence}."] if job.specialist.licence else [])


def build_rows(built: BuildResults) -> list[list[str]]:
    """Returns what was built, for the terminal: kind, exchanges, share, and the most frequent answers."""
    total = sum(found["count"] for found in built["kinds"].values()) or 1
    rows = []
    for kind, found in sorted(built["kinds"].items(), key=lambda item: -item[1]["count"]):
        answers = ", ".join(
            f"{answer} {count / found['count']:.0%}" for answer, count in found["answers"].items()
        )
        rows.append([kind, f"{found['count']:,}", f"{found['count'] / total:.0%}", answers])
    return rows
