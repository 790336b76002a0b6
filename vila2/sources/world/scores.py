"""Measures how true and how complete a caption of a scene is."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

from vila2.data.claims import Claim
from vila2.sources.world import scene_relations as relations
from vila2.sources.world.scene import Scene, WorldObject
from vila2.sources.world.truth import SceneMention, check_caption, mentions

#: What is wrong with a mention that no object of the scene is left for. "absent": nothing of that shape is
#: there (CHAIR counts these). "repeated": the thing is there and was named already. "attribute": such a shape
#: is there, but not of that color or size.
MentionFault = Literal["absent", "repeated", "attribute"]


@dataclass(frozen=True, slots=True)
class SceneTally:
    """Counts of one kind of statement in a caption.

    Attributes:
        right: true statements.
        judged: statements that the scene decides; ``right / judged`` is precision.
        told: different facts told truly.
        there: facts of the scene; ``told / there`` is recall.
    """

    right: int
    judged: int
    told: int = 0
    there: int = 0


def caption_tallies(scene: Scene, text: str) -> dict[str, SceneTally]:
    """Counts the statements of a caption by kind: object, attribute, relation, text and count.

    An object is told if a mention is matched with it, its attributes (color and size) if that mention states
    them. A relation of the scene is a pair of objects of which one is clearly left of or in front of the
    other; it is told by any true statement that relates their names. A text is told if a sign's word is
    quoted truly. Counts have no facts that must be told.

    Args:
        scene: scene of the image.
        text: caption to measure.
    """
    claims = check_caption(scene, text)
    matched = [m for m in mentions(scene, text) if m.number is None and not m.repeats and m.match is not None]
    related = {
        frozenset((claim.subject.removesuffix(f" {claim.predicate} {claim.object}"), claim.object))
        for claim in claims
        if claim.kind == "relation" and claim.object and claim.status == "supported"
    }
    pairs = sum(_relates(one, other) for one, other in combinations(scene.objects, 2))
    signs = {thing.word for thing in scene.objects if thing.word}
    quoted = {text[c.start : c.end].lower() for c in claims if c.kind == "text" and c.status == "supported"}
    told = {
        "object": (len(matched), len(scene.objects)),
        "attribute": (sum(len(mention.spans) for mention in matched), 2 * len(scene.objects)),
        # One pair can be told by several names ("cube", "red cube"), but counts once.
        "relation": (min(len(related), pairs), pairs),
        "text": (len(quoted & signs), len(signs)),
        "count": (0, 0),
    }
    return {kind: SceneTally(*_judged(claims, kind), *counts) for kind, counts in told.items()}


def mention_faults(scene: Scene, text: str) -> Counter[MentionFault]:
    """Counts what is wrong with the objects that a caption names.

    Every mention of one object that is not supported has one fault, so the counts sum to the objects judged
    minus those right. "The red cube", said of a cube that was named before, is no mention of its own.

    Args:
        scene: scene of the image.
        text: caption to measure.
    """
    named = [m for m in mentions(scene, text) if m.number is None and not m.repeats and m.match is None]
    return Counter(_fault(scene, mention) for mention in named)


def _fault(scene: Scene, mention: SceneMention) -> MentionFault:
    if mention.candidates:
        return "repeated"
    alike = mention.shape is None or any(thing.shape == mention.shape for thing in scene.objects)
    return "attribute" if alike else "absent"


def caption_scores(scene: Scene, text: str) -> dict[str, float | None]:
    """Scores a caption.

    Args:
        scene: scene of the image.
        text: caption to score.

    Returns:
        object_precision, object_recall, attribute_precision, relation_precision, text_precision and
        count_precision (0 to 1; precision is None if the caption has no such statement), the counts
        mentioned_objects, hallucinated_objects and contradicted_claims, and the number of words.
    """
    tallies = caption_tallies(scene, text)
    objects = tallies["object"]
    scores: dict[str, float | None] = {
        f"{kind}_precision": own.right / own.judged if own.judged else None for kind, own in tallies.items()
    }
    scores["object_recall"] = objects.told / objects.there
    scores["mentioned_objects"] = objects.judged
    scores["hallucinated_objects"] = objects.judged - objects.right
    scores["contradicted_claims"] = sum(own.judged - own.right for own in tallies.values())
    scores["words"] = len(text.split())
    return scores


def _relates(one: WorldObject, other: WorldObject) -> bool:
    return any(test(one, other) is not None for test in (relations.left_right, relations.front_behind))


def _judged(claims: Sequence[Claim], kind: str) -> tuple[int, int]:
    statuses = [claim.status for claim in claims if claim.kind == kind and claim.status != "unverified"]
    return statuses.count("supported"), len(statuses)
