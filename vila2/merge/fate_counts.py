"""What a merge kept and dropped, and why, in numbers: by layer and in all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vila2.merge.fates import Fate, read_fates
from vila2.merge.sources import WRITER


@dataclass
class _Counts:
    exchanges: Counter[str] = field(default_factory=Counter)
    sentences: Counter[str] = field(default_factory=Counter)
    verdicts: Counter[str] = field(default_factory=Counter)
    claims: Counter[str] = field(default_factory=Counter)
    after: Counter[str] = field(default_factory=Counter)
    words: Counter[str] = field(default_factory=Counter)

    def add(self, fate: Fate, *, made: bool = False) -> None:
        """Counts a fate; what the merge itself ``made`` counts only where it is kept."""
        if made and not fate.kept:
            return
        (self.exchanges if fate.sentence < 0 else self.sentences)["kept" if fate.kept else fate.reason] += 1
        if fate.sentence < 0:
            return
        decided = {"claims": fate.claims, "supported": fate.supported, "contradicted": fate.contradicted}
        if not made:
            self.verdicts[fate.verdict] += 1
            self.claims.update(decided)
            self.words["before"] += fate.words
        if fate.kept:
            self.after.update(decided)
            self.words["after"] += fate.words

    def to_json(self, images: int) -> dict[str, Any]:
        return {
            "exchanges": _kept_and_dropped(self.exchanges),
            "sentences": _kept_and_dropped(self.sentences),
            "verdicts": {name: self.verdicts[name] for name in ("supported", "contradicted", "unverified")},
            "before": _rates(self.claims),
            "after": _rates(self.after),
            "words_before": self.words["before"] / images if images else 0.0,
            "words_after": self.words["after"] / images if images else 0.0,
        }


def tally_merge(folder: Path, without_image: Collection[str] = ()) -> dict[str, Any]:
    """The numbers of a merged layer, from the fates beside it.

    Args:
        folder: folder of the layer.
        without_image: keys of samples that are not counted, because they have no image.

    Returns:
        ``images``, ``sources`` and ``all``. For each source, and for all together (where a model's paragraphs
        count only after the merge): exchanges and sentences kept, and dropped by reason; sentences by
        verdict; before and after the merge the number of claims, ``coverage`` (share of claims that evidence
        decides) and ``contradiction_rate`` (share of the decided claims that it refutes), None where there
        are none; words of answers and captions per image.
    """
    return tally(fate for fate in read_fates(folder) if fate.key not in without_image)


def merge_results(numbers: Mapping[str, Any], order: Sequence[str]) -> dict[str, Any]:
    """A merge as results.json holds it: :class:`vila2.report.merge_result.MergeResult`.

    Args:
        numbers: result of :func:`tally_merge`, and ``rows``.
        order: names of the layers in order; those that are not named come after.
    """
    names = [name for name in order if name in numbers["sources"]]
    names += [name for name in numbers["sources"] if name not in names]
    kept = {name: numbers[name] for name in ("images", "rows", "all")}
    return kept | {"sources": {name: numbers["sources"][name] for name in names}}


def tally(fates: Iterable[Fate]) -> dict[str, Any]:
    """The numbers of any fates; see :func:`tally_merge`."""
    keys: set[str] = set()
    sources: dict[str, _Counts] = {}
    together = _Counts()
    for fate in fates:
        keys.add(fate.key)
        sources.setdefault(fate.source, _Counts()).add(fate)
        together.add(fate, made=fate.source == WRITER)
    return {
        "images": len(keys),
        "sources": {name: counts.to_json(len(keys)) for name, counts in sources.items()},
        "all": together.to_json(len(keys)),
    }


def _kept_and_dropped(counts: Counter[str]) -> dict[str, Any]:
    dropped = {reason: count for reason, count in sorted(counts.items()) if reason != "kept"}
    return {"kept": counts["kept"], "dropped": dropped}


def _rates(counts: Counter[str]) -> dict[str, Any]:
    decided = counts["supported"] + counts["contradicted"]
    return {
        "claims": counts["claims"],
        "coverage": decided / counts["claims"] if counts["claims"] else None,
        "contradiction_rate": counts["contradicted"] / decided if decided else None,
    }
