"""``python -m vila2_grounding DATA [KEY=VALUE ...]``: what the builder makes of data, in counts."""

from __future__ import annotations

import statistics
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from vila2.plugin import RejectTally, Sample, config_from, exchanges_of, told

from vila2_grounding.builder import GroundingBuilder, GroundingConfig
from vila2_grounding.mentions import mentions
from vila2_grounding.phrases import category, normal


@dataclass
class Counts:
    """What was built."""

    samples: Counter[str] = field(default_factory=Counter)
    images: set[str] = field(default_factory=set)
    rejected: Counter[str] = field(default_factory=Counter)
    rejects: RejectTally = field(default_factory=RejectTally)
    exchanges: Counter[str] = field(default_factory=Counter)
    categories: Counter[str] = field(default_factory=Counter)
    read_back: Counter[str] = field(default_factory=Counter)
    boxes: list[int] = field(default_factory=list)
    words: list[int] = field(default_factory=list)


def count(builder: GroundingBuilder) -> Counts:
    """Builds everything and counts it."""
    counts = Counts()
    for shard in builder.shards():
        for item in builder.build(shard):
            if not isinstance(item, Sample):
                counts.rejects.add(item)
                counts.rejected[item.reason] += 1
                continue
            instances = {(one["category"], box) for one in item.meta["phrases"] for box in one["boxes"]}
            counts.samples[item.meta["subset"]] += 1
            counts.images.add(str(item.meta["image"]))
            counts.exchanges.update(item.meta["kinds"])
            counts.categories.update(category for category, _ in instances)
            counts.boxes.append(len(instances))
            counts.words.append(len(item.meta["caption"].split()))
            counts.read_back.update(_read_back(item))
    return counts


def _read_back(sample: Sample) -> Iterator[str]:
    """How well the phrase of each box is found again in the narration, where no span is marked."""
    caption, phrases = sample.meta["caption"], sample.meta["phrases"]
    phrases = sorted(phrases, key=lambda one: (one["end"], one["start"]))
    spans = [caption[one["start"] : one["end"]] for one in phrases for _ in one["boxes"]]
    narrations = [one.answer.parts for one in exchanges_of(sample) if one.kind == "narration"]
    found = [mention.phrase for parts in narrations for mention in mentions(parts)]
    if len(found) != len(spans):  # phrases that nest and share a box
        return
    for phrase, span in zip(found, spans, strict=True):
        same = "same phrase" if normal(phrase) == normal(span) else "same head, other words before it"
        yield same if category(phrase) == category(span) else "another head"


def lines(counts: Counts) -> list[str]:
    """The counts for a reader."""
    text = []
    for title in ("samples", "rejected", "exchanges"):
        counter = getattr(counts, title)
        text.append(f"{title}: {counter.total()}")
        text += [f"  {name:24} {number:7}" for name, number in counter.most_common()]
        text += [f"  {line}" for line in counts.rejects.lines()] if title == "rejected" else []
    text.append(f"images: {len(counts.images)}")
    total = counts.read_back.total()
    shares = ", ".join(f"{what} {number / total:.1%}" for what, number in counts.read_back.most_common())
    text.append(f"phrases read back from narrations: {total}" + (f"; {shares}" if total else ""))
    text.append(f"boxes per sample: {_spread(counts.boxes)}")
    text.append(f"words per caption: {_spread(counts.words)}")
    common = ", ".join(f"{name} {number}" for name, number in counts.categories.most_common(10))
    text.append(f"categories: {len(counts.categories)}; {common}")
    return text


def _spread(values: Sequence[int]) -> str:
    if not values:
        return "none"
    return f"mean {statistics.fmean(values):.2f}, median {statistics.median(values):g}, most {max(values)}"


def main(arguments: Sequence[str]) -> int:
    """Prints what is built; 1 where something is wrong."""
    return told(_run, arguments, __doc__)


def _run(arguments: Sequence[str]) -> int:
    """Prints what is built; 1 where nothing can be."""
    counts = count(GroundingBuilder(config_from(GroundingConfig, arguments)))
    print("\n".join(lines(counts)))
    return 0 if counts.samples else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
