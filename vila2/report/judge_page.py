"""The page of a judge: what it prefers, how far to trust it, and examples of wins and losses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vila2.data.atomic import write_text_atomic
from vila2.report.judged_results import Judged, JudgedExample, Match
from vila2.report.numbers import MISSING, written, written_interval
from vila2.report.page import for_html
from vila2.report.templates import filled

_ENDINGS: dict[tuple[str, float | None], str] = {
    ("decided", 1.0): "won by {1}",
    ("decided", 0.0): "won by {0}",
    ("tie", 0.5): "called equal",
    ("inconsistent", 0.5): "a tie, because the two orders disagree",
}


def write_judge_page(results: Judged, path: Path) -> None:
    """Renders the page; the same results give the same bytes.

    Args:
        results: return value of :func:`vila2.judge.judging_job.write_judged`.
        path: path of the HTML file; written atomically.
    """
    page = filled(
        "judge.jinja",
        results=results,
        sentences=sentences(results),
        tables=[
            ("Wins of each layer against each other", match_table(results)),
            ("Strength among all", strength_table(results)),
        ],
        cards=[_card(example) for example in results["examples"]],
    )
    write_text_atomic(path, for_html(page))


def sentences(results: Judged) -> list[str]:
    """The outcome in words: first whether to believe the judge, then what it prefers."""
    return [*_trust(results), *map(_preference, results["matches"]), *_left_out(results)]


def match_table(results: Judged, *, short: bool = False) -> tuple[list[str], list[list[str]]]:
    """Headings and rows: wins and ties of every two layers, and the win rate, raw and at equal length.

    Args:
        results: as for :func:`write_judge_page`.
        short: leave out counts and words, which do not fit a terminal.
    """
    headings = ["", "pairs", "win rate of the first named (%)", "at equal length (%)"]
    if not short:
        headings += ["won", "tied", "orders disagree", "lost", "words, each"]
    rows = []
    for match in results["matches"]:
        kinds = match["kinds"]
        name = f"{match['second']} against {match['first']}"
        row = [name, str(match["scored"]), _share(match["win_rate"]), _share(match["controlled"])]
        if not short:
            ties = kinds.get("tie", 0) + kinds.get("identical", 0)
            row += map(str, (match["won"], ties, kinds.get("inconsistent", 0), match["lost"]))
            row.append(
                " / ".join(MISSING if mean is None else f"{mean:.1f}" for mean in reversed(match["words"]))
            )
        rows.append(row)
    return headings, rows


def strength_table(results: Judged) -> tuple[list[str], list[list[str]]]:
    """Headings and rows: the Bradley-Terry strength of every layer."""
    headings = ["layer", "strength", "at equal length"]
    return headings, [
        [row["layer"], _odds(row["strength"]), _odds(row["controlled"])] for row in results["strengths"]
    ]


def _trust(results: Judged) -> list[str]:
    said, trust, check = [], results["trust"], results["check"]
    if check and check["right"]:
        verdict = {
            "no": "the judge cannot see: what follows says nothing about the captions",
            "unsure": "whether the judge can see cannot be told from so few checks",
            "yes": "the judge sees",
        }[check["sees"] or "unsure"]
        counted = f"{check['scored']} of {check['count']} checks that count"
        said.append(
            f"{verdict[0].upper()}{verdict[1:]}. It told an image's own caption from one moved there from "
            f"another image, in {counted}: {_share(check['right'])}% right (guessing: 50)."
        )
    elif check and set(check["kinds"]) == {"open"}:
        said.append("Whether the judge can see is not known: no check was judged yet.")
    elif check:
        said.append("The judge cannot be believed: none of its checks ended in a verdict.")
    else:
        said.append("Whether the judge can see was not checked (--check).")
    unread = trust["verdicts"].get("unparsed", 0)
    if unread:
        said.append(f"{unread} of {trust['votes']} answers were no verdict; their pairs do not count.")
    if trust["agrees"]:
        said.append(
            f"Asked in both orders, it agrees with itself on {_share(trust['agrees'])}% of {trust['twice']} "
            f"pairs; the other {trust['inconsistent']} count as ties."
        )
    if trust["shown_first"]:
        said.append(
            f"Of its choices, {_share(trust['shown_first'])}% fell on the text shown first (no bias: 50)."
        )
    return said


def _preference(match: Match) -> str:
    first, second, rate = match["first"], match["second"], match["win_rate"]
    if rate is None:
        return f"{second} against {first}: too few pairs ended in a verdict."
    better = {
        None: f"Between {first} and {second} no preference can be told from chance",
        first: f"{first} is preferred to {second}",
        second: f"{second} is preferred to {first}",
    }[match["preferred"]]
    text = f"{better}: {second} wins {_share(rate)}% (ties half), over {match['scored']} pairs"
    if match["controlled"]:
        return f"{text}; at equal length {_share(match['controlled'])}%."
    shorter = (
        f"the one that is mostly shorter is at least as long in {match['longer_share']:.1%} of the pairs"
    )
    return f"{text}. No rate at equal length: {shorter}, too few to tell length and layer apart."


def _left_out(results: Judged) -> list[str]:
    said = []
    if results["left_out"]:
        reasons = ", ".join(f"{reason} {count}" for reason, count in results["left_out"].items())
        said.append(f"Of {results['images']} images looked at, without a usable text: {reasons}.")
    kinds = {kind: results["pairs"]["kinds"].get(kind, 0) for kind in ("open", "skip", "error", "unparsed")}
    if any(kinds.values()):
        names = {"open": "not judged yet", "skip": "skipped", "error": "with an unreadable image"}
        counts = ", ".join(f"{count} {names.get(kind, kind)}" for kind, count in kinds.items() if count)
        said.append(
            f"Of {results['pairs']['chosen']} pairs chosen, {results['pairs']['scored']} count ({counts})."
        )
    return said


def _share(interval: Sequence[float] | None) -> str:
    if interval is None:
        return MISSING
    value, low, high = interval
    return f"{written(value, 'share', 1)} ({written_interval(low, high, 'share', 1)})"


def _odds(interval: Sequence[float | None] | None) -> str:
    if interval is None:
        return MISSING
    value, low, high = interval
    if low is None:
        return f"{written(value, 'score', 2)} (won or lost all: no interval)"
    if low == value == high == 0:
        return "0, by definition"
    return f"{written(value, 'score', 2)} ({written_interval(low, high, 'score', 2)})"


@dataclass(frozen=True, slots=True)
class JudgedCard:
    """An example as the page shows it: how it ended, the text of each layer, and what the judge said."""

    key: str
    image: str | None
    ending: str
    sides: tuple[tuple[str, str], ...]
    said: tuple[str, ...]


def _card(example: JudgedExample) -> JudgedCard:
    said = (
        f"{example['layers'][vote['shown']]} shown first: {vote['said'] or vote['verdict']}"
        for vote in example["said"]
    )
    return JudgedCard(
        example["key"],
        example["image"],
        _ENDINGS[example["kind"], example["score"]].format(*example["layers"]),
        tuple(zip(example["layers"], example["texts"], strict=True)),
        tuple(said),
    )
