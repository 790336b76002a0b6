"""The page of studies: the paper's finding, our figures beside the paper's, and what ours say of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import mean

from markupsafe import Markup

from vila2.data.atomic import write_text_atomic
from vila2.report.arms_chart import arms_svg
from vila2.report.numbers import places, unit_label, written, written_amount, written_half_width
from vila2.report.page import for_html
from vila2.report.study_results import ArmResult, CellResult, StudiesResults, StudyResult
from vila2.report.templates import filled

#: Cell of a table that is missing in our source of the paper.
NOT_IN_SOURCE = "not in source"


def write_studies_page(results: StudiesResults, path: Path) -> None:
    """Renders the page; the same results give the same bytes.

    Args:
        results: ``results`` of :func:`vila2.studies.reproduce.reproduce`.
        path: path of the HTML file; written atomically.
    """
    studies = [
        (study, Markup(arms_svg(study)), *study_table(study), why_stopped(study, results["seeds"]))
        for study in results["studies"]
    ]
    expected = {
        study["name"]: [[one["expected"], one["found"], one["answer"]] for one in study["expectations"]]
        for study in results["studies"]
    }
    several = len(results["seeds"]) > 1
    page = filled("studies.jinja", results=results, studies=studies, expected=expected, several=several)
    write_text_atomic(path, for_html(page))


def write_studies_markdown(results: StudiesResults, path: Path) -> None:
    """Writes the same as Markdown, for a folder of documents; the pictures go to ``figures`` beside it.

    Args:
        results: as for :func:`write_studies_page`.
        path: path of the file; written atomically, as are the pictures.
    """
    seeds = ", ".join(map(str, results["seeds"]))
    over = "scenes" if len(results["seeds"]) == 1 else "seeds (Student's t)"
    lines = [
        f"Size “{results['size']}”, seeds {seeds}; ±: half the 95% interval over {over}. In pictures the "
        "small dots are seeds, and the dashed line stands at the first row's mean."
    ]
    for study in results["studies"]:
        headings, rows = study_table(study)
        lines += [
            "",
            f"## {study['name']}: {study['title']}",
            "",
            f"{study['section']}. The paper: {study['finding']}",
            "",
        ]
        lines += [_markdown_row(headings), _markdown_row(["---", *["---:"] * (len(headings) - 1)])]
        lines += [_markdown_row(row) for row in rows]
        write_text_atomic(path.parent / "figures" / f"{study['name']}.svg", arms_svg(study))
        lines += [
            "",
            f"![{study['title']}](figures/{study['name']}.svg)",
            "",
            f"**Ours**: {study['sentence']}",
            "",
        ]
        lines += [
            _markdown_row(["expected", "found, 95% interval", "ours"]),
            _markdown_row(["---", "---:", "---"]),
        ]
        lines += [
            _markdown_row([one["expected"], one["found"], one["answer"]]) for one in study["expectations"]
        ]
        if study["note"]:
            lines += ["", study["note"]]
        if stopped := why_stopped(study, results["seeds"]):
            lines += ["", "When rounds ended:", "", *(f"- {line}" for line in stopped)]
    write_text_atomic(path, "\n".join(lines) + "\n")


def _markdown_row(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def study_table(study: StudyResult, *, short: bool = False) -> tuple[list[str], list[list[str]]]:
    """Headings and rows: every measure of each arm, ours ± half its 95% interval, and the paper's beside it.

    The last column is the number of tokens that the arm was trained on (mean over seeds), where it is known.

    Args:
        study: one of the ``studies`` in the results.
        short: leave out the last row, which names the measures that our source of the paper has no cells of.
    """
    measures = study["measures"]
    known = [m for m in measures if any(_has(arm, m) for arm in study["arms"])]
    headings = ["arm"]
    for measure, heading in measures.items():
        label = unit_label(study["arms"][0]["cells"][measure]["unit"])
        headings.append(f"{heading} ({label})" if label else heading)
        if measure in known:
            headings.append("the paper's")
    if with_tokens := all(map(all, (arm["tokens"] for arm in study["arms"]))):
        headings.append("tokens of the last training")
    rows = []
    for arm in study["arms"]:
        row = [arm["label"]]
        for measure in measures:
            cell = arm["cells"][measure]
            row.append(_value(cell))
            if measure in known:
                row.append(cell["paper"])
        if with_tokens:
            row.append(written_amount(round(mean(arm["tokens"]))))
        rows.append(row)
    last = ["the paper's"]
    for measure in measures:
        last += ["", ""] if measure in known else [NOT_IN_SOURCE]
    last += [""] if with_tokens else []
    return headings, [*rows, last] if len(known) < len(measures) and not short else rows


def why_stopped(study: StudyResult, seeds: Sequence[int]) -> list[str]:
    """The reason why rounds ended, by seed; arms that share their rounds are named once."""
    told = [
        f"seed {seed}: {why}"
        for number, seed in enumerate(seeds)
        for arm in study["arms"]
        if (why := arm["stopped"][number])
    ]
    return list(dict.fromkeys(told))


def _has(arm: ArmResult, measure: str) -> bool:
    return arm["cells"][measure]["paper"] != NOT_IN_SOURCE


def _value(cell: CellResult) -> str:
    decimals = places(cell["unit"], [cell["value"]])
    half = written_half_width(cell["low"], cell["high"], cell["unit"], decimals)
    return written(cell["value"], cell["unit"], decimals) + half
