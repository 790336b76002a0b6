"""How true and how complete a caption of a scene is."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from vila2.data.claims import Claim
from vila2.sources.world import scene_relations as relations
from vila2.sources.world.scene import Scene, WorldObject
from vila2.sources.world.truth import check_caption, mentions


@dataclass(frozen=True, slots=True)
class SceneTally:
    """What a caption says of one kind, and what there would be to say.

    Attributes:
        right, judged: true statements, of those that the truth decides; precision is their ratio.
        told, there: different facts truly told, of those there are; recall is their ratio.
    """

    right: int
    judged: int
    told: int = 0
    there: int = 0


def caption_tallies(scene: Scene, text: str) -> dict[str, SceneTally]:
    """Tallies of the kinds object, attribute, relation, text and count; of counts nothing needs to be told.

    An object is told where a mention is matched with it, its attributes (colour and size) where that mention states
    them. A relation to be told is a pair of objects of which one is clearly left of the other or in front of it; it is
    told by any true statement that relates the two by their names. A text is told where a sign's word is truly quoted.
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
        # One pair can be told by several names ("cube", "red cube"): no more is told than there is.
        "relation": (min(len(related), pairs), pairs),
        "text": (len(quoted & signs), len(signs)),
        "count": (0, 0),
    }
    return {kind: SceneTally(*_judged(claims, kind), *counts) for kind, counts in told.items()}


def caption_scores(scene: Scene, text: str) -> dict[str, Any]:
    """The tallies as plain numbers.

    Returns:
        object_precision, object_recall, attribute_precision, relation_precision, text_precision, count_precision
        (each 0..1, None where the caption says nothing of the kind; recall is never None), the counts
        mentioned_objects, hallucinated_objects and contradicted_claims, and words.
    """
    tallies = caption_tallies(scene, text)
    objects = tallies["object"]
    scores: dict[str, Any] = {
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
