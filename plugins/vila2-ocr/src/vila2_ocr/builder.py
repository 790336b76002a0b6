"""The builder: data sets about text as they are, and questions by rule about images with known texts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Annotated, ClassVar

from pydantic import Field
from vila2.plugin import (
    EVIDENCE_KEY,
    BuilderConfig,
    DataError,
    Evidence,
    ImagePart,
    Reject,
    Sample,
    open_evidence,
    python_generator,
    user,
)

from vila2_ocr.facts import Page
from vila2_ocr.readers import SourceFile, source_files
from vila2_ocr.rules import draw_facts
from vila2_ocr.wording import exchange

Share = Annotated[float, Field(ge=0, le=1)]

_USER = "data"


class OcrConfig(BuilderConfig):
    """Settings of the builder, besides ``data`` and ``seed``.

    Attributes:
        dataset: name of the data set in ``data``, from :data:`vila2_ocr.readers.SOURCES`. With "", the
            names of the folders tell it, and :func:`vila2.open_evidence` reads anything else.
        questions: the most questions by rule about one image.
        weights: weights of the kinds of questions when they are drawn. A kind not named has 1; 0 means never.
        empty_share: share of the images without text that still get a question.
    """

    dataset: str = ""
    questions: Annotated[int, Field(ge=1)] = 8
    weights: Mapping[str, Annotated[float, Field(ge=0)]] = Field(default_factory=dict)
    empty_share: Share = 0.1


class OcrBuilder:
    """Samples of one image each, with each question in a branch of its own.

    ``meta["facts"]`` holds for each question what an answer by rule rests on: the numbers of the texts in the
    evidence and, for a computed answer, the computation. ``meta["refused"]`` counts the refused questions by
    reason.

    Raises:
        DataError: a weight names a kind that does not exist.
    """

    version: ClassVar[int] = 4
    subsets: ClassVar[tuple[str, ...]] = ("text",)

    def __init__(self, config: OcrConfig) -> None:
        from vila2_ocr.rules import rules

        self.config = config
        unknown = set(config.weights) - set(rules())
        if unknown:
            raise DataError(
                f"unknown kind of question {sorted(unknown)[0]!r} in weights",
                hint=f"weigh any of {', '.join(rules())}",
            )

    @cached_property
    def files(self) -> dict[str, SourceFile]:
        """Files of known data sets by the name of their shard. A user's own data has none."""
        config = self.config
        return {file.name: file for file in source_files(config.data, config.dataset, config.image_root)}

    def shards(self) -> Sequence[str]:
        """One shard for each file of a known data set; one shard for a user's own data."""
        if not self.config.data.exists():
            raise DataError(f"{self.config.data}: no such file or folder", hint="check the path")
        return list(self.files) or [_USER]

    def build(self, shard: str) -> Iterator[Sample | Reject]:
        """Samples of one shard, and a ``Reject`` for each row that gives no question."""
        config = self.config
        known = self.files.get(shard)
        read = known.samples() if known else open_evidence(config.data, config.image_root)
        for item in read:
            if isinstance(item, Reject):
                yield item
            elif any(turn.trained and turn.text for turn in item.turns) and EVIDENCE_KEY not in item.meta:
                yield item  # somebody asked already
            else:
                yield self.ask(item)

    def ask(self, sample: Sample) -> Sample | Reject:
        """A sample of one image: the facts that the rules find in its evidence, in words."""
        where = str(self.config.data)
        try:
            evidence = Evidence.of(sample)
        except DataError as error:
            return Reject(where, sample.key, "bad-evidence", error.what)
        if evidence is None or not (evidence.texts or evidence.all_texts):
            return Reject(where, sample.key, "no-texts", "nothing is known of what is written")
        random = python_generator("ocr", self.config.seed, sample.key)
        if not evidence.texts and random.random() >= self.config.empty_share:
            return Reject(where, sample.key, "empty", "nothing is written; a share of these is kept")
        facts, refused = draw_facts(Page(evidence, random), self.config.weights, self.config.questions)
        if not facts:
            reasons = ", ".join(sorted(refused)) or "no rule applies"
            return Reject(where, sample.key, "no-question", reasons)
        turns = [user(ImagePart())]
        for branch, fact in enumerate(facts, start=1):
            turns += exchange(fact, random, branch)
        meta = {
            **sample.meta,
            "image": sample.meta.get("image", sample.key),
            "kinds": [fact.kind for fact in facts],
            "facts": [fact.to_json() for fact in facts],
            "refused": dict(refused),
        }
        return replace(sample, turns=tuple(turns), meta=meta)
