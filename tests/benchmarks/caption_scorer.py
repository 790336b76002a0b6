"""Agreement of our caption scores with people: Kendall's tau with the expert ratings of Flickr8k.

    VILA2_REALDATA=FOLDER python -m tests.benchmarks.caption_scorer

Three experts rated each caption from 1 to 4. As is usual (SPICE, CLIPScore), captions that are among the
references of their image are left out, and each rating counts as one item. A hash splits the images into two
halves: the two settings of our scorer were chosen with the first in view, though the second had been seen as
well.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections import Counter
from pathlib import Path

import numpy as np

from tests.benchmarks.kendall import kendall_tau
from vila2.evaluate.measures.fit import FitScorer
from vila2.evaluate.measures.looking import confirmed_words
from vila2.evaluate.measures.text import cider, tokens

RESAMPLES = 300


def read(folder: Path) -> tuple[list[str], list[str], list[list[str]], np.ndarray]:
    """Reads images, candidates, references and ratings [captions, 3] of the judgments that count."""
    references = {}
    for name in ("train", "test"):
        for line in (folder / f"{name}.jsonl").read_text().splitlines():
            row = json.loads(line)
            references[row["image"]] = row["captions"]
    rows = [json.loads(line) for line in (folder / "expert_judgments.jsonl").read_text().splitlines()]
    kept = [r for r in rows if tokens(r["caption"]) not in [tokens(text) for text in references[r["image"]]]]
    print(f"{len(rows)} rated captions, {len(rows) - len(kept)} of them among the references and left out")
    images = [row["image"] for row in kept]
    ratings = np.array([row["ratings_1to4"] for row in kept])
    return images, [row["caption"] for row in kept], [references[image] for image in images], ratings


def overlap(text: str, references: list[str]) -> float:
    """Computes BLEU-1 of one caption: clipped unigram precision with the brevity penalty."""
    said = Counter(tokens(text))
    best: Counter[str] = Counter()
    for reference in references:
        best |= Counter(tokens(reference))
    closest = min((abs(len(tokens(r)) - said.total()), len(tokens(r))) for r in references)[1]
    brevity = min(1.0, math.exp(1 - closest / max(said.total(), 1)))
    return brevity * (said & best).total() / max(said.total(), 1)


def all_scores(images: list[str], texts: list[str], references: list[list[str]]) -> dict[str, list[float]]:
    """Computes every score of every candidate."""
    fit = FitScorer(list(dict(zip(images, references, strict=True)).values()))
    pairs = list(zip(texts, references, strict=True))
    return {
        "random": list(np.random.default_rng(0).random(len(texts))),
        "words": [float(len(tokens(text))) for text in texts],
        "BLEU-1": [overlap(*pair) for pair in pairs],
        "content words people confirm": [
            found / max(said, 1) for found, said in (confirmed_words(*p) for p in pairs)
        ],
        "CIDEr-D": cider(texts, references),
        "fit, its words alone": [fit.words(*pair) for pair in pairs],
        "fit": [fit.score(*pair) for pair in pairs],
    }


def tau(scores: list[float], ratings: np.ndarray, chosen: np.ndarray, variant: str = "c") -> float:
    """Computes Kendall's tau in percent, over the chosen captions with each of their ratings."""
    return 100 * kendall_tau(np.repeat(np.asarray(scores)[chosen], 3), ratings[chosen].reshape(-1), variant)


def main() -> None:
    images, texts, references, ratings = read(Path(os.environ["VILA2_REALDATA"]) / "flickr8k")
    scores = all_scores(images, texts, references)
    everything = np.arange(len(texts))
    second = np.array([hashlib.blake2b(image.encode()).digest()[0] % 2 == 1 for image in images])
    print(f"{'Kendall tau x 100':30s} {'tau-c':>6s} {'tau-b':>6s} {'first half':>11s} {'second half':>11s}")
    for name, own in scores.items():
        halves = [tau(own, ratings, everything[half]) for half in (~second, second)]
        whole = [tau(own, ratings, everything, variant) for variant in "cb"]
        print(f"{name:30s} {whole[0]:6.1f} {whole[1]:6.1f} {halves[0]:11.1f} {halves[1]:11.1f}")
    print(paired(scores, ratings, everything[second], images))


def paired(scores: dict[str, list[float]], ratings: np.ndarray, chosen: np.ndarray, images: list[str]) -> str:
    """Computes the lead of our score over CIDEr-D in the second half, with images resampled."""
    by_image: dict[str, list[int]] = {}
    for n in chosen:
        by_image.setdefault(images[n], []).append(n)
    groups, random = [np.array(own) for own in by_image.values()], np.random.default_rng(0)
    leads = []
    for _ in range(RESAMPLES):
        drawn = np.concatenate([groups[n] for n in random.integers(0, len(groups), len(groups))])
        leads.append(tau(scores["fit"], ratings, drawn) - tau(scores["CIDEr-D"], ratings, drawn))
    low, high = np.quantile(leads, [0.025, 0.975])
    return f"second half: fit leads CIDEr-D by 95% interval {low:.1f} to {high:.1f}"


if __name__ == "__main__":
    main()
