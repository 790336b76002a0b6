"""How long CIDEr-D takes on a benchmark of a thousand captions: python -m tests.benchmarks.cider"""

from __future__ import annotations

import random
import time

from vila2.evaluate.measures.text import cider

WORDS = ["a", "dog", "cat", "runs", "sits", "on", "the", "grass", "sofa", "red", "ball", "with", "two"]
CAPTIONS, REFERENCES = 1000, 5


def main() -> None:
    pick = random.Random(0)
    texts = [" ".join(pick.choices(WORDS, k=12)) for _ in range(CAPTIONS * (1 + REFERENCES))]
    candidates, rest = texts[:CAPTIONS], texts[CAPTIONS:]
    references = [rest[REFERENCES * n : REFERENCES * (n + 1)] for n in range(CAPTIONS)]
    start = time.perf_counter()
    cider(candidates, references)
    print(f"{CAPTIONS} captions with {REFERENCES} references each: {time.perf_counter() - start:.2f} s")


if __name__ == "__main__":
    main()
