"""Counting questions from labeled things.

They ask for the number of things of each kind, of one kind, and of a kind that is not in the image.
"""

from collections import Counter
from collections.abc import Iterator

from vila2.plugin import (
    BuilderConfig,
    Evidence,
    ImagePart,
    Reject,
    Sample,
    assistant,
    open_evidence,
    python_generator,
    user,
)
from vila2_counting.numbers import listing, phrase, plural


class Config(BuilderConfig):
    """Settings beside ``data`` and ``seed``.

    Attributes:
        most: Largest number of things of one kind to ask about. Nobody counts a crowd by eye.
        absent: Whether to ask about kinds that are not in the image, where the data lists all things of a
            kind.
    """

    most: int = 10
    absent: bool = True


class Builder:
    """For each image its counts as one listing, one kind that is there, and one that is not."""

    version = 1
    subsets = ("built",)

    def __init__(self, config: Config) -> None:
        self.config = config

    def shards(self) -> list[str]:
        return ["all"]

    def build(self, shard: str) -> Iterator[Sample | Reject]:
        for sample in open_evidence(self.config.data, self.config.image_root):
            yield sample if isinstance(sample, Reject) else self._ask(sample)

    def _ask(self, sample: Sample) -> Sample | Reject:
        evidence = Evidence.of(sample)
        if evidence is None or not evidence.objects:
            return Reject(sample.key, sample.key, "no-objects", "nothing in the image is labelled")
        counts = Counter(thing.label for thing in evidence.objects)
        if max(counts.values()) > self.config.most:
            return Reject(sample.key, sample.key, "crowd", f"more than {self.config.most} of one kind")
        chosen = python_generator(self.config.seed, sample.key)
        kind = chosen.choice(sorted(counts))
        exchanges = [
            ("Count the objects in the image, kind by kind.", listing(counts), "listing"),
            (f"How many {plural(kind)} are there?", phrase(kind, counts[kind]), "present"),
        ]
        missing = sorted(set(evidence.labels) - set(counts)) if evidence.all_objects else []
        if missing and self.config.absent:
            kind = chosen.choice(missing)
            exchanges.append((f"How many {plural(kind)} are there?", phrase(kind, 0), "absent"))
        turns = [user(ImagePart())]
        for branch, (question, answer, _) in enumerate(exchanges, start=1):  # isolated from each other
            turns += [user(question, branch=branch), assistant(answer + ".", branch=branch)]
        meta = {
            "image": sample.meta.get("image", sample.key),
            "kinds": [kind for *_, kind in exchanges],
            "counts": dict(sorted(counts.items())),
        }
        return Sample(sample.key, sample.images, tuple(turns), meta)
