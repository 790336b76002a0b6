"""From a finished specialist to its results: its own measures beside the generalist's, and answers side by side."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vila2 import __version__
from vila2.data.atomic import write_json_atomic
from vila2.data.images import image_data_uri
from vila2.data.shards import ShardDataset
from vila2.evaluate.measures.intervals import paired_ratio_bootstrap
from vila2.evaluate.measures.stored import scored_items
from vila2.report.page import write_report
from vila2.report.run_facts import record_facts
from vila2.report.summary import summary_table
from vila2.specialist.making_steps import HELD_OUT
from vila2.specialist.specialist_job import recipe_text
from vila2.train.left_out import LEFT_OUT_FILE, left_out_line

if TYPE_CHECKING:
    from vila2.specialist.making import Made
    from vila2.specialist.specialist_job import Job

_EXAMPLES = 12
_STAGE_FIELDS = ("trained", "parameters_trained", "samples", "steps", "tokens", "loss")


def write_specialist_results(job: Job, made: Made, folder: Path) -> dict[str, Any]:
    """Writes ``results.json`` and ``report.html``.

    Returns:
        ``report`` (path), ``summary`` (columns and rows for the terminal) and ``results``.
    """
    before, after = job.origin.name, f"{job.name} specialist"
    stages = [
        {"name": name} | {field: step.results[field] for field in _STAGE_FIELDS if field in step.results}
        for name, step in made.stages.items()
    ]
    results = {
        "title": f"The {job.name} specialist of {job.origin.name}",
        "recipe": {"name": job.name, "seed": job.recipe.seed, "text": recipe_text(job)},
        "vila2_version": __version__,
        "models": [
            {"name": before, "round": 0, "stages": [], "measures": made.generalist.results["measures"]},
            {"name": after, "round": 1, "stages": stages, "measures": made.specialist.results["measures"]},
        ],
        "changes": _changes(job, made, before, after),
        "layers": [],
        "examples": _examples(made, before, after),
        "examples_title": "Questions that were held out, and both answers",
        "notes": _notes(job, made),
    }
    write_json_atomic(folder / "results.json", results)
    write_report(results, folder / "report.html", record_facts(folder))
    return {"report": str(folder / "report.html"), "summary": summary_table(results), "results": results}


def _changes(job: Job, made: Made, before: str, after: str) -> list[dict[str, Any]]:
    """The specialist minus the generalist, measure by measure, over the same questions."""
    old, new = scored_items(made.generalist), scored_items(made.specialist)
    changes = []
    for name, item in new.items():
        other = old.get(name)
        if (
            other is None
            or other.keys != item.keys
            or not (sum(item.denominators) and sum(other.denominators))
        ):
            continue  # one of them said nothing that this measure is about
        difference, low, high = paired_ratio_bootstrap(
            (other.numerators, other.denominators),
            (item.numerators, item.denominators),
            seed=job.recipe.seed,
        )
        changes.append(
            {"benchmark": job.name, "name": name, "from": before, "to": after}
            | {"difference": difference, "low": low, "high": high}
        )
    return changes


def _examples(made: Made, before: str, after: str) -> list[dict[str, Any]]:
    """Held-out questions with both answers, evenly over all of them, not by eye."""
    old, new = (
        json.loads((step.folder / "said.json").read_text(encoding="utf-8"))
        for step in (made.generalist, made.specialist)
    )
    dataset = ShardDataset.open(made.built.folder / HELD_OUT)
    step = max(1, len(new) // _EXAMPLES)
    examples = []
    for earlier, later in list(zip(old, new, strict=True))[::step][:_EXAMPLES]:
        key = later["item"].rpartition("#")[0]
        image = next(iter(dataset[dataset.find(key)].images), None)
        captions = [
            {"layer": name, "prompt": one["question"], "text": one["said"]}
            for name, one in ((before, earlier), (after, later))
        ]
        examples.append(
            {"key": later["item"], "image": _data_uri(image) if image else None, "truth": later["answer"]}
            | {"captions": captions}
        )
    return examples


def _notes(job: Job, made: Made) -> list[str]:
    built = made.built.results
    samples = ", ".join(f"{count:,} {name}" for name, count in built["samples"].items())
    rejects = ", ".join(f"{reason} {count:,}" for reason, count in built["rejected"].items()) or "none"
    kinds = ", ".join(f"{kind} {found['count']:,}" for kind, found in built["kinds"].items())
    notes = [
        f"Built by {job.plugin.package} {job.plugin.version} from {job.data.path or job.data.source}: {samples}.",
        f"Inputs that could not be used: {rejects}.",
        f"Exchanges by kind: {kinds}.",
        f"Training started from the generalist's {job.recipe.start!r} checkpoint; it is compared with the "
        f"generalist as it is at the end of its own training, on {made.specialist.results['questions']:,} "
        "questions about images that the specialist was not trained on.",
    ]
    notes += [
        f"Stage {name}: {left_out_line(step.results['left_out'])}; they are named in {step.folder.name}/{LEFT_OUT_FILE}."
        for name, step in made.stages.items()
        if "left_out" in step.results
    ]
    return notes + ([f"Licence of the data: {job.specialist.licence}."] if job.specialist.licence else [])


def _data_uri(image: bytes) -> str:
    return image_data_uri(image)


def build_rows(built: Mapping[str, Any]) -> list[list[str]]:
    """What was built, for the terminal: kind, exchanges, share, and the most frequent answers with theirs."""
    total = sum(found["count"] for found in built["kinds"].values()) or 1
    rows = []
    for kind, found in sorted(built["kinds"].items(), key=lambda item: -item[1]["count"]):
        answers = ", ".join(
            f"{answer} {count / found['count']:.0%}" for answer, count in found["answers"].items()
        )
        rows.append([kind, f"{found['count']:,}", f"{found['count'] / total:.0%}", answers])
    return rows
