"""The builder: scenes with 3D boxes to SpatialRelationQA, one sample per image with a branch for each question."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Annotated, ClassVar, Literal

from pydantic import Field
from vila2.plugin import BuilderConfig, DataError, Evidence, ImagePart, Reject, Sample, Turn, generator, user

from vila2_spatial.asking import exchange
from vila2_spatial.cleaning import LEAST_HEIGHT, LEAST_VISIBLE, MOST_TRUNCATED, CleaningLimits, clean
from vila2_spatial.facts import FORM_WEIGHTS, draw_facts
from vila2_spatial.mirror import mirrored
from vila2_spatial.readers import SceneReader, open_scenes
from vila2_spatial.relations import RELATIONS, domain_of
from vila2_spatial.wording import wording_of

Share = Annotated[float, Field(ge=0, le=1)]


class SpatialConfig(BuilderConfig):
    """Settings of the builder, besides ``data`` and ``seed``.

    Attributes:
        format: of the data, one of the readers' names; "auto" to see which fits.
        domain: decides what is close and far; "auto" takes what the reader says, or else how far the things are.
        draws: relations that are sampled for each box.
        questions: of one image, at the most.
        weights: of the relations when they are sampled; 1 for those not named. The paper samples evenly.
        forms: weights of the forms of answers ("box", "name", "choice", "yes-no", "sentence") where several are
            possible; by default box and name 3, the others 1.
        box_share: how often a thing that its name tells carries its box in a question all the same. In the
            miniature, whose language model reads numbers digit by digit, there are no boxes.
        mirror: "every" adds a mirrored copy of each image, so that left and right are asked equally often;
            "half" mirrors every other image instead; "none".
        truncation, visibility, height: see :mod:`vila2_spatial.cleaning`.
    """

    format: str = "auto"
    domain: Literal["auto", "indoor", "outdoor", "tabletop", "miniature"] = "auto"
    draws: Annotated[int, Field(ge=1, le=len(RELATIONS))] = 3
    questions: Annotated[int, Field(ge=1)] = 12
    weights: Mapping[str, Annotated[float, Field(ge=0)]] = Field(default_factory=dict)
    forms: Mapping[str, Annotated[float, Field(ge=0)]] = Field(default_factory=dict)
    box_share: Share = 0.5
    mirror: Literal["every", "half", "none"] = "every"
    truncation: Share = MOST_TRUNCATED
    visibility: Share = LEAST_VISIBLE
    height: Annotated[float, Field(ge=0)] = LEAST_HEIGHT


class SpatialBuilder:
    """SpatialRelationQA from any data that :mod:`vila2_spatial.readers` knows.

    A sample's ``meta["facts"]`` holds, question by question in the order of the branches, what its answer rests on:
    predicate, margin, runner-up and the numbers of the things in its evidence.

    Raises:
        DataError: a weight of a relation or form that does not exist, or none above 0.
    """

    version: ClassVar[int] = 2
    subsets: ClassVar[tuple[str, ...]] = ("relations",)

    def __init__(self, config: SpatialConfig) -> None:
        self.config = config
        _check("weights", config.weights, RELATIONS)
        _check("forms", config.forms, FORM_WEIGHTS)

    @cached_property
    def reader(self) -> SceneReader:
        """Of the data."""
        config = self.config
        form = None if config.format == "auto" else config.format
        return open_scenes(config.data, form, config.image_root)

    def shards(self) -> Sequence[str]:
        """Names of the reader's pieces."""
        return self.reader.pieces()

    def build(self, shard: str) -> Iterator[Sample | Reject]:
        """Samples of one piece; a ``Reject`` for a scene that gives no question."""
        for scene in self.reader.scenes(shard):
            if isinstance(scene, Reject):
                yield scene
                continue
            sample = self.ask(scene)
            if isinstance(sample, Reject):
                yield sample
                continue
            mirror = self.config.mirror
            if mirror == "half" and generator("mirror", self.config.seed, sample.key).random() < 0.5:
                yield mirrored(sample)
                continue
            yield sample
            if mirror == "every":
                yield mirrored(sample)

    def ask(self, scene: Sample) -> Sample | Reject:
        """A scene's sample: what :mod:`vila2_spatial.facts` draws, in words."""
        config = self.config
        where = str(config.data)
        evidence = Evidence.of(scene)
        if evidence is None or evidence.camera is None:
            return Reject(
                where, scene.key, "no-solids", "no evidence with a camera: nothing is known of space"
            )
        depths = [one.solid.centre[2] for one in evidence.objects if one.solid]
        told = scene.meta.get("domain") if config.domain == "auto" else config.domain
        domain = domain_of(told, depths)
        limits = CleaningLimits(config.truncation, config.visibility, config.height)
        clear = clean(evidence, domain, limits)
        wording = wording_of(domain)
        boxes = any(form == "box" for _, form in wording.templates)
        rng = generator("relations", config.seed, scene.key)
        facts = list(
            draw_facts(
                clear, rng, config.draws, config.weights, config.forms, wording.templates.keys(), boxes
            )
        )
        facts = facts[: config.questions]
        if not facts:
            reasons = ", ".join(sorted({refusal.reason for refusal in clear.refusals})) or "none refused"
            detail = f"{len(clear.things)} of {len(evidence.objects)} objects can be asked of ({reasons})"
            return Reject(where, scene.key, "no-question", detail)
        turns: list[Turn] = [user(ImagePart())]
        for branch, fact in enumerate(facts, start=1):
            turns += exchange(fact, clear, wording, rng, config.box_share if boxes else 0.0, branch)
        meta = {
            **scene.meta,
            "domain": domain,
            "kinds": [fact.predicate for fact in facts],
            "facts": [fact.to_json() for fact in facts],
            "refused": {str(refusal.number): refusal.reason for refusal in clear.refusals},
        }
        return Sample(scene.key, scene.images, tuple(turns), meta)


def _check(setting: str, weights: Mapping[str, float], known: Collection[str]) -> None:
    unknown = sorted(set(weights) - set(known))
    if unknown or not any(weights.get(name, 1.0) for name in known):
        what = f"{setting}: unknown {unknown[0]!r}" if unknown else f"{setting}: all are 0"
        raise DataError(what, hint=f"weigh any of {', '.join(known)}")
