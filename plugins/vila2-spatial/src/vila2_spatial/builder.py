"""The builder: SpatialRelationQA from scenes with 3D boxes.

Each image gives one sample, with a branch for each question.
"""

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
        format: format of the data, one of the readers' names; "auto" finds the one that fits.
        domain: domain of the data, which decides what is close and far. With "auto" the reader tells it, or
            else the distance of the things does.
        draws: number of relations that are sampled for each box.
        questions: the most questions about one image.
        weights: weights of the relations when they are sampled. A relation not named has 1. The paper samples
            evenly.
        forms: weights of the forms of answers ("box", "name", "choice", "yes-no", "sentence") where several
            are possible. By default box and name have 3, the others 1.
        box_share: share of the things identified by their name that carry their box in a question all the
            same. The miniature uses no boxes, because its language model reads numbers digit by digit.
        mirror: "every" adds a mirrored copy of each image, so that left and right are asked equally often;
            "half" mirrors every other image instead; "none" mirrors nothing.
        truncation, visibility, height: limits of :mod:`vila2_spatial.cleaning`.
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

    ``meta["facts"]`` of a sample holds what each answer rests on, in the order of the branches: predicate,
    margin, runner-up and the numbers of the things in its evidence.

    Raises:
        DataError: a weight names a relation or form that does not exist, or no weight is above 0.
    """

    version: ClassVar[int] = 4
    subsets: ClassVar[tuple[str, ...]] = ("relations",)

    def __init__(self, config: SpatialConfig) -> None:
        self.config = config
        _check("weights", config.weights, RELATIONS)
        _check("forms", config.forms, FORM_WEIGHTS)

    @cached_property
    def reader(self) -> SceneReader:
        """The reader of the data."""
        config = self.config
        form = None if config.format == "auto" else config.format
        return open_scenes(config.data, form, config.image_root)

    def shards(self) -> Sequence[str]:
        """The names of the pieces of the reader."""
        return self.reader.pieces()

    def build(self, shard: str) -> Iterator[Sample | Reject]:
        """Samples of one piece, and a ``Reject`` for each scene that gives no question."""
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
        """A sample of one scene: the facts that :mod:`vila2_spatial.facts` draws, in words."""
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
