"""Reads images whose text is known, and tells how much of it was read.

    python -m vila2_rapidocr DATA [threshold=0.5 ...]

DATA is what `vila2.open_evidence` knows: rows {image, texts: [{text, box}]}, or a dataset with evidence.
"""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from collections.abc import Sequence

from vila2.plugin import Evidence, Reject, Seen, open_evidence, settings_from, told

from vila2_rapidocr.reader import LineReader, ReaderSettings
from vila2_rapidocr.scoring import Share, shares


def main(arguments: Sequence[str]) -> int:
    """Prints a line for each measure."""
    data, *given = arguments
    reader = LineReader(settings_from(ReaderSettings, given))
    totals: dict[str, Share] = defaultdict(Share)
    images, began = 0, time.perf_counter()
    for sample in open_evidence(data):
        evidence = None if isinstance(sample, Reject) else Evidence.of(sample)
        if isinstance(sample, Reject) or evidence is None or not evidence.texts:
            continue
        read = [line.text for line in reader.read(Seen(sample.key, sample.images))]
        for name, share in shares(evidence, read).items():
            totals[name] += share
        images += 1
    if not images:
        print(f"{data}: no image with known text", file=sys.stderr)
        return 1
    for name, share in totals.items():
        print(f"{name:<14} {share}")
    print(f"{'images':<14} {images}, {(time.perf_counter() - began) / images:.1f} s each")
    return 0


if __name__ == "__main__":
    sys.exit(told(main, sys.argv[1:], __doc__))
