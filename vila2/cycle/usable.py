"""Checks that enough of a round's captions can be trained on.

Without any, a round repeats the one before it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from vila2.errors import RunError

log = logging.getLogger("vila2.cycle")

#: Share of unusable captions from which on the log and the report say so.
_WORTH_SAYING = 0.75
#: Fewer captions stop no run: their share tells nothing, and such a run is a trial.
_FEWEST = 10
_HINT = {
    "truncated": "raise cycle.max_new_tokens, or train longer on answers that end",
    "repetition": "train longer, or raise cycle.repetition_penalty (1.1 to 1.3)",
    "empty": "train longer: the model has not learned to answer the prompts (cycle.prompts)",
    "refusal": "use other cycle.prompts, or train on descriptions of images",
    "contradiction": "raise cycle.attempts, or set it to 1",
    "error": "look at the layer's column `detail`, which says why",
}


def check_usable(layer: str, results: Mapping[str, Any], largest: float) -> None:
    """Stops a run whose captions, ten or more, are unusable; warns where many are.

    Args:
        layer: name of a round's layer.
        results: results of its step: ``captions``, their number, and ``status``, their numbers by mark.
        largest: largest share of them that may be unusable.

    Raises:
        RunError: more are unusable.
    """
    line = unusable_line(layer, results)
    if not line:
        return
    statuses = results["status"]
    share = 1 - statuses.get("ok", 0) / results["captions"]
    if share > largest and results["captions"] >= _FEWEST:
        commonest = max((name for name in statuses if name != "ok"), key=statuses.__getitem__)
        raise RunError(
            f"{line}; that is more than the {largest:.0%} that cycle.max_unusable allows, and unusable "
            "captions train nothing",
            hint=f"{_HINT[commonest]}; cycle.max_unusable=1 goes on all the same",
        )
    log.warning("%s", line)


def unusable_line(layer: str, results: Mapping[str, Any]) -> str:
    """Says how many captions can be used and why the others cannot; empty where most can."""
    statuses, total = results["status"], results["captions"]
    usable = statuses.get("ok", 0)
    if not total or 1 - usable / total < _WORTH_SAYING:
        return ""
    others = ", ".join(f"{count} {status}" for status, count in statuses.items() if status != "ok")
    return f"layer {layer}: {usable or 'none'} of {total} captions can be used ({others})"
