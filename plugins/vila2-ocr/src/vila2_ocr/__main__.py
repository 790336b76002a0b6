"""``python -m vila2_ocr DATA [KEY=VALUE ...]``: counts of what the builder makes of data.

DATA is what ``vila2 specialize --plugin ocr --data`` takes. ``documents:COUNT`` draws COUNT
documents instead. Each KEY=VALUE is a setting of the builder; VALUE is JSON or text.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Sequence

from vila2.plugin import Evidence, Reject, RejectTally, Sample, config_from, told

from vila2_ocr.builder import OcrBuilder, OcrConfig
from vila2_ocr.checking import faults
from vila2_ocr.documents import read


def main(arguments: Sequence[str]) -> int:
    """Prints what the builder makes. Returns 1 where something is wrong."""
    return told(_run, arguments, __doc__)


def _run(arguments: Sequence[str]) -> int:
    """Builds everything, checks every answer by rule and prints counts. Returns 1 if an answer is wrong."""
    data, _, number = arguments[0].partition(":")
    drawn = int(number) if data == "documents" and number.isdecimal() else None
    builder = OcrBuilder(config_from(OcrConfig, arguments))
    items = _built(builder) if drawn is None else (builder.ask(one) for one in read(count=drawn))
    rejects = RejectTally()
    counts, checked, wrong = tally(items, rejects)
    for title, counter in counts.items():
        total = sum(counter.values())
        print(f"{title}: {total}")
        for name, count in counter.most_common(20):
            print(f"  {name:46} {count:6}  {100 * count / total:5.1f} %")
        for line in rejects.lines() if title == "rejected" else ():
            print(f"  {line}")
    print(f"answers by rule checked against the texts: {checked}, wrong: {len(wrong)}")
    for fault in wrong[:10]:
        print(f"  {fault}")
    return 1 if wrong else 0


def tally(
    items: Iterator[Sample | Reject], rejects: RejectTally
) -> tuple[dict[str, Counter[str]], int, list[str]]:
    """Counts of what was built, the number of answers by rule that were checked, and the faults found."""
    counts: dict[str, Counter[str]] = {
        title: Counter()
        for title in ("images", "rejected", "questions", "not asked", "yes or no", "answers given most often")
    }
    checked, wrong = 0, []
    for item in items:
        if isinstance(item, Reject):
            rejects.add(item)
            counts["rejected"][item.reason] += 1
            continue
        counts["images"][str(item.meta.get("dataset", item.meta.get("document", "given")))] += 1
        said = [turn.text for turn in item.turns if turn.trained]
        kinds = item.meta.get("kinds") or [item.meta.get("kind", "?")] * len(said)
        counts["questions"].update(kinds)
        counts["not asked"].update(item.meta.get("refused", {}))
        for answer in said:
            yes_no = answer.lower().rstrip(".") in ("yes", "no")
            counts["yes or no" if yes_no else "answers given most often"][
                answer.replace("\n", " / ")[:44]
            ] += 1
        evidence = Evidence.of(item)
        if evidence is None:
            continue
        for fact in item.meta.get("facts", ()):
            checked += 1
            wrong += [f"{item.key}: {fault}" for fault in faults(fact, evidence)]
    counts["answers given most often"] = Counter(dict(counts["answers given most often"].most_common(12)))
    return counts, checked, wrong


def _built(builder: OcrBuilder) -> Iterator[Sample | Reject]:
    for shard in builder.shards():
        yield from builder.build(shard)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
