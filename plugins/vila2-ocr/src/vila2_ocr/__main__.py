"""``python -m vila2_ocr DATA [KEY=VALUE ...]``: what the builder makes of data, in counts.

DATA is what ``vila2 specialize --plugin ocr --data`` takes; ``documents:COUNT`` draws so many documents instead.
KEY=VALUE are settings of the builder, VALUE as JSON or text.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vila2.data.evidence import Evidence
from vila2.data.sample import Sample
from vila2.data.shards import Reject
from vila2.errors import Vila2Error

from vila2_ocr.builder import OcrBuilder, OcrConfig
from vila2_ocr.checking import faults
from vila2_ocr.documents import read


def main(arguments: list[str]) -> int:
    """Builds everything, checks every answer by rule, and prints counts; 1 if one is wrong."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(__doc__)
        return 0
    try:
        settings = dict(_setting(argument) for argument in arguments[1:])
        data, _, number = arguments[0].partition(":")
        drawn = int(number) if data == "documents" and number.isdecimal() else None
        builder = OcrBuilder(OcrConfig(data=Path(arguments[0]), **settings))
        items = _built(builder) if drawn is None else (builder.ask(one) for one in read(count=drawn))
        counts, checked, wrong = tally(items)
    except (Vila2Error, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    for title, counter in counts.items():
        total = sum(counter.values())
        print(f"{title}: {total}")
        for name, number in counter.most_common(20):
            print(f"  {name:46} {number:6}  {100 * number / total:5.1f} %")
    print(f"answers by rule checked against the texts: {checked}, wrong: {len(wrong)}")
    for fault in wrong[:10]:
        print(f"  {fault}")
    return 1 if wrong else 0


def tally(items: Iterator[Sample | Reject]) -> tuple[dict[str, Counter[str]], int, list[str]]:
    """Counts of what was built; how many answers by rule were checked; what is wrong with which."""
    counts: dict[str, Counter[str]] = {
        title: Counter()
        for title in ("images", "rejected", "questions", "not asked", "yes or no", "answers given most often")
    }
    checked, wrong = 0, []
    for item in items:
        if isinstance(item, Reject):
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
        for fact in item.meta.get("facts", ()) if evidence else ():
            checked += 1
            wrong += [f"{item.key}: {fault}" for fault in faults(fact, evidence)]
    counts["answers given most often"] = Counter(dict(counts["answers given most often"].most_common(12)))
    return counts, checked, wrong


def _built(builder: OcrBuilder) -> Iterator[Sample | Reject]:
    for shard in builder.shards():
        yield from builder.build(shard)


def _setting(argument: str) -> tuple[str, Any]:
    key, equals, value = argument.partition("=")
    if not equals:
        raise ValueError(f"{argument}: not of the form KEY=VALUE")
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
