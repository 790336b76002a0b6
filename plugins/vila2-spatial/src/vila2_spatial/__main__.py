"""``python -m vila2_spatial DATA [KEY=VALUE ...]``: counts of what the builder makes of data."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Sequence

from vila2.plugin import Evidence, RejectTally, Sample, config_from, told

from vila2_spatial.builder import SpatialBuilder, SpatialConfig
from vila2_spatial.cleaning import clean
from vila2_spatial.facts import Fact, answer_of


def main(arguments: Sequence[str]) -> int:
    """Prints what the builder makes. Returns 1 where something is wrong."""
    return told(_run, arguments, __doc__)


def _run(arguments: Sequence[str]) -> int:
    """Builds everything, derives every answer again and prints counts. Returns 1 if an answer differs."""
    rejects, began = RejectTally(), time.perf_counter()
    counts, wrong = count(SpatialBuilder(config_from(SpatialConfig, arguments)), rejects)
    seconds = time.perf_counter() - began
    for title, counter in counts.items():
        total = sum(counter.values())
        print(f"{title}: {total}")
        for name, number in counter.most_common():
            print(f"  {name:24} {number:6}  {100 * number / total:5.1f} %")
        for line in rejects.lines() if title == "rejected scenes" else ():
            print(f"  {line}")
    print(f"time: {seconds:.0f} s, {sum(counts['relations'].values()) / seconds:,.0f} questions a second")
    print(f"answers derived again from the boxes: {sum(counts['relations'].values())}, different: {wrong}")
    return 1 if wrong else 0


def count(builder: SpatialBuilder, rejects: RejectTally) -> tuple[dict[str, Counter[str]], int]:
    """Counts of what a builder makes, and the number of stored answers that the boxes do not confirm."""
    titles = (
        "samples",
        "questions of an image",
        "rejected scenes",
        "refused objects",
        "relations",
        "forms",
        "sides asked",
        "answers",
        "yes or no",
    )
    counts: dict[str, Counter[str]] = {title: Counter() for title in titles}
    wrong = 0
    for shard in builder.shards():
        for sample in builder.build(shard):
            if not isinstance(sample, Sample):
                rejects.add(sample)
                counts["rejected scenes"][sample.reason] += 1
                continue
            counts["samples"]["mirrored" if sample.meta.get("mirrored") else "as taken"] += 1
            if not sample.meta.get("mirrored"):
                counts["refused objects"].update(sample.meta["refused"].values())
            asked = Counter(turn.parts for turn in sample.turns[1::2])
            counts["questions of an image"]["asked once"] += len(asked)
            counts["questions of an image"]["asked again"] += asked.total() - len(asked)
            evidence = Evidence.of(sample)
            assert evidence is not None  # the builder asks of nothing else
            scene = clean(evidence, sample.meta["domain"])
            for stored in sample.meta["facts"]:
                fact = Fact.from_json(stored)
                wrong += answer_of(fact, scene) != fact.answer
                counts["relations"][fact.predicate] += 1
                counts["forms"][fact.form] += 1
                if fact.predicate.endswith(("left", "right")):
                    counts["sides asked"][fact.predicate.removeprefix("camera_")] += 1
                if fact.form == "yes-no":
                    counts["yes or no"][str(fact.answer)] += 1
                elif isinstance(fact.answer, str):
                    counts["answers"][fact.answer] += 1
    return counts, wrong


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
