"""``python -m vila2_grounding DATA [KEY=VALUE ...]``: what the builder makes of data, in counts."""

from __future__ import annotations

import statistics
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError
from vila2.data.sample import Sample
from vila2.errors import Vila2Error

from vila2_grounding.builder import GroundingBuilder, GroundingConfig


@dataclass
class Counts:
    """What was built."""

    samples: Counter[str] = field(default_factory=Counter)
    images: set[str] = field(default_factory=set)
    rejected: Counter[str] = field(default_factory=Counter)
    exchanges: Counter[str] = field(default_factory=Counter)
    categories: Counter[str] = field(default_factory=Counter)
    boxes: list[int] = field(default_factory=list)
    words: list[int] = field(default_factory=list)


def count(builder: GroundingBuilder) -> Counts:
    """Builds everything and counts it."""
    counts = Counts()
    for shard in builder.shards():
        for item in builder.build(shard):
            if not isinstance(item, Sample):
                counts.rejected[item.reason] += 1
                continue
            instances = {(one["category"], box) for one in item.meta["phrases"] for box in one["boxes"]}
            counts.samples[item.meta["subset"]] += 1
            counts.images.add(str(item.meta["image"]))
            counts.exchanges.update(item.meta["kinds"])
            counts.categories.update(category for category, _ in instances)
            counts.boxes.append(len(instances))
            counts.words.append(len(item.meta["caption"].split()))
    return counts


def lines(counts: Counts) -> list[str]:
    """The counts for a reader."""
    text = []
    for title in ("samples", "rejected", "exchanges"):
        counter = getattr(counts, title)
        text.append(f"{title}: {counter.total()}")
        text += [f"  {name:24} {number:7}" for name, number in counter.most_common()]
    text.append(f"images: {len(counts.images)}")
    text.append(f"boxes per sample: {_spread(counts.boxes)}")
    text.append(f"words per caption: {_spread(counts.words)}")
    common = ", ".join(f"{name} {number}" for name, number in counts.categories.most_common(10))
    text.append(f"categories: {len(counts.categories)}; {common}")
    return text


def _spread(values: Sequence[int]) -> str:
    if not values:
        return "none"
    return f"mean {statistics.fmean(values):.2f}, median {statistics.median(values):g}, most {max(values)}"


def main(arguments: list[str]) -> int:
    """Prints what is built; 1 where nothing can be."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(__doc__)
        return 0
    settings = dict(setting.partition("=")[::2] for setting in arguments[1:])
    try:
        counts = count(GroundingBuilder(GroundingConfig(data=Path(arguments[0]), **settings)))
    except (Vila2Error, ValidationError) as error:
        print(error, file=sys.stderr)
        return 1
    print("\n".join(lines(counts)))
    return 0 if counts.samples else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
