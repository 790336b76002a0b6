"""The card of a model for the hub: what it was made from, and what it scored, with intervals."""

from __future__ import annotations

from pathlib import Path

from vila2 import __version__
from vila2.data.parsing import read_json
from vila2.report.numbers import places, unit_label, written, written_interval
from vila2.report.published_scores import with_published
from vila2.report.results_page import ModelResult, Results, read_results


def model_card(model: Path, run: Path | None, name: str, license: str) -> bytes:
    """Writes the card as Markdown with the hub's metadata in front.

    Args:
        model: folder of the model.
        run: finished run that made it; None where there is none.
        name: name of the repository.
        license: license of the model; "" where it is not known.
    """
    from huggingface_hub import ModelCardData

    kind = read_json(model / "config.json", hint="train the model again").get("model_type", "")
    data = ModelCardData(
        license=license or None,
        library_name="transformers",
        pipeline_tag="image-text-to-text",
        tags=["vila2"],
    )
    lines = [f"# {name}", "", f"A visual language model ({kind}), made with vila2 {__version__}.", ""]
    if str(kind).startswith("vila2"):
        lines += ["`import vila2` makes transformers know its classes; no remote code is needed.", ""]
    lines += [f"    vila2 ask photo.jpg 'What is this?' --model {name}", ""]
    if run is not None and (run / "results.json").is_file():
        lines += _results(with_published(read_results(run / "results.json"), run))
    body = "\n".join(lines)
    return f"---\n{data.to_yaml()}\n---\n\n{body}".encode()


def _results(results: Results) -> list[str]:
    lines = [f"Recipe `{results.recipe.name}`, seed {results.recipe.seed}.", ""]
    for one in (*results.models, *results.published):
        lines += _measures(one)
    if results.notes:
        lines += ["## Notes", "", *(f"- {note}" for note in results.notes), ""]
    if results.recipe.text:
        lines += ["## Recipe", "", "```yaml", results.recipe.text.rstrip(), "```", ""]
    return lines


def _measures(model: ModelResult) -> list[str]:
    if not model.measures:
        return []
    lines = [
        f"## {model.name}",
        "",
        "| benchmark | measure | value | 95% interval | items |",
        "|---|---|---:|---:|---:|",
    ]
    for one in model.measures:
        decimals = places(one.unit, (one.value,))
        unit = unit_label(one.unit)
        value = written(one.value, one.unit, decimals)
        interval = written_interval(one.low, one.high, one.unit, decimals)
        measure = f"{one.name} ({unit})" if unit else one.name
        lines.append(f"| {one.benchmark} | {measure} | {value} | {interval} | {one.count} |")
    return [*lines, ""]
