"""Checks what a text says about a scene: claims with their character spans."""

import re
from dataclasses import dataclass, replace

from vila2.data.claims import Claim, ClaimStatus
from vila2.sources.world import scene_relations as relations
from vila2.sources.world.scene import Scene, WorldObject
from vila2.sources.world.vocabulary import COLOURS, NUMBERS, SHAPES

_SYNONYMS = {"sphere": "ball", "box": "cube", "block": "cube", "can": "cylinder", "octahedron": "diamond",
             "big": "large", "huge": "large", "little": "small", "tiny": "small"}  # fmt: skip
_SHAPE = "|".join([*SHAPES, "sphere", "box", "block", "octahedron"])
_COLOR = "|".join(COLOURS)
_SIZE = "small|large|big|huge|little|tiny"
_NUMBER = "|".join(NUMBERS)

#: "a small red cube", "the cube", "red object"; a number or a plural makes it a count.
_MENTION = re.compile(
    rf"\b(?:(?P<det>an?|the|another|only one|{_NUMBER}|\d)\s+)?"
    rf"(?:(?P<size>{_SIZE})\s+)?(?:(?P<colour>{_COLOR})\s+)?"
    rf"(?P<shape>{_SHAPE}|object)(?P<plural>e?s)?\b",
    re.IGNORECASE,
)
_RELATION = re.compile(
    r"\b(?P<lateral>left|right)(?:\s+side)?\s+of\b|\b(?P<front>in\s+front\s+of)\b|\b(?P<behind>behind)\b"
    r"|\b(?P<near>closer\s+(?:to\s+the\s+camera\s+)?than|nearer\s+than)\b"
    r"|\b(?P<far>farther\s+(?:away\s+|from\s+the\s+camera\s+)?than)\b",
    re.IGNORECASE,
)
_PLACE = re.compile(
    r"\b(?:on|to)\s+the\s+(?P<side>left|right)\b(?!\s+(?:side\s+)?of\s+(?:an?|the)\s+(?!image|picture|scene))"
    r"|\bin\s+the\s+(?P<middle>middle|cent(?:er|re))\b|\bin\s+the\s+(?P<zone>foreground|background)\b",
    re.IGNORECASE,
)
_EXTREME = re.compile(r"\b(?:closest|nearest|(?P<far>farthest|furthest))\b", re.IGNORECASE)
_SIGN = re.compile(
    r"\b(?:says?|saying|reads?|reading|(?:the|a)\s+word)\s+[\"'“]?\s*(?P<word>[a-z]+)\b\s*[\"'”]?", re.I
)
_SENTENCE = re.compile(r"[^.!?;]+")
#: Text between a place at the beginning of a clause and the object that it is about.
_LEADS_ON = re.compile(
    r"^(?:\s+of\s+the\s+(?:image|picture|scene))?\s*,?\s*"
    r"(?:there\s+(?:is|are)|we\s+\w+(?:\s+see)?|is|stands)?\s*$",
    re.I,
)


@dataclass(frozen=True, slots=True)
class SceneMention:
    """One object, or several of a kind, as a text names them.

    Attributes:
        start: first character of the mention.
        end: end of the mention, exclusive.
        size: stated size; None without one.
        colour: stated color; None without one.
        shape: stated shape; None for "object".
        definite: whether it has the article "the".
        number: stated number; None for a single object.
        spans: stated attributes, each with its span.
        candidates: numbers of the scene's objects with all stated attributes.
        match: number of the object that it is matched with; None if none is left.
        repeats: whether it refers to an earlier mention.
    """

    start: int
    end: int
    size: str | None
    colour: str | None
    shape: str | None
    definite: bool
    number: int | None
    spans: tuple[tuple[str, int, int], ...]
    candidates: tuple[int, ...]
    match: int | None = None
    repeats: bool = False

    @property
    def name(self) -> str:
        """Stated attributes in order."""
        return " ".join(part for part in (self.size, self.colour, self.shape or "object") if part)


def check_caption(scene: Scene, text: str) -> tuple[Claim, ...]:
    """Finds and judges the claims of a text.

    Text that the parser does not understand makes no claim.

    Args:
        scene: scene that decides the claims.
        text: text over the world's vocabulary.

    Returns:
        Claims in order of their first character, each supported, contradicted or unverified.
    """
    found = mentions(scene, text)
    singles = [mention for mention in found if mention.number is None]
    claims: list[Claim] = []
    for mention in found:
        claims += (
            _count_claim(scene, mention) if mention.number is not None else _object_claims(scene, mention)
        )
    for sentence in _SENTENCE.finditer(text):
        inside = [m for m in singles if sentence.start() <= m.start < sentence.end()]
        claims += _relation_claims(scene, text, sentence, inside)
        claims += _place_claims(scene, text, sentence, inside)
        claims += _extreme_claims(scene, sentence, inside)
        claims += _sign_claims(scene, sentence, inside)
    return tuple(sorted(claims, key=lambda claim: (claim.start, claim.end, claim.kind)))


def _fits(thing: WorldObject, size: str | None, colour: str | None, shape: str | None) -> bool:
    return size in (None, thing.size) and colour in (None, thing.colour) and shape in (None, thing.shape)


def _normal(word: str | None) -> str | None:
    return None if word is None else _SYNONYMS.get(word.lower(), word.lower())


def mentions(scene: Scene, text: str) -> list[SceneMention]:
    """Finds the objects that a text names, in order, and matches each with one of the scene if one is left.

    Args:
        scene: scene with the objects.
        text: text over the world's vocabulary.
    """
    found: list[SceneMention] = []
    for hit in _MENTION.finditer(text):
        size, colour, shape = _normal(hit["size"]), _normal(hit["colour"]), _normal(hit["shape"])
        shape = None if shape == "object" else shape
        number = _number((hit["det"] or "").lower(), bool(hit["plural"]))
        if (number is None and not (size or colour or shape)) or number == -1:
            continue  # "the object" and "cubes" state nothing that could be checked
        spans = tuple((name, *hit.span(name)) for name in ("size", "colour") if hit[name])
        fitting = tuple(i for i, thing in enumerate(scene.objects) if _fits(thing, size, colour, shape))
        definite = (hit["det"] or "").lower() == "the"
        found.append(SceneMention(*hit.span(), size, colour, shape, definite, number, spans, fitting))
    return _matched(found)


def _number(determiner: str, is_plural: bool) -> int | None:
    """Reads the number that a determiner states; None for a single object, -1 for a bare plural."""
    if determiner == "only one":
        return 1
    if determiner.isdigit():
        return int(determiner)
    if determiner in NUMBERS and (is_plural or determiner != "one"):
        return NUMBERS.index(determiner)
    return -1 if is_plural else None


def _matched(mentions: list[SceneMention]) -> list[SceneMention]:
    """Matches as many new mentions as possible, each with its own object, by augmenting paths.

    A mention with "the" may refer to an earlier one instead.
    """
    owner: dict[int, int] = {}

    def place(number: int, tried: set[int]) -> bool:
        for candidate in mentions[number].candidates:
            if candidate not in tried:
                tried.add(candidate)
                if candidate not in owner or place(owner[candidate], tried):
                    owner[candidate] = number
                    return True
        return False

    result = list(mentions)
    new: list[int] = []
    for number, mention in enumerate(mentions):
        if mention.number is not None:
            continue
        earlier = [other for other in new if mention.definite and _same(mentions[other], mention)]
        if earlier:
            result[number] = replace(mention, repeats=True, match=earlier[0])
        else:
            new.append(number)
            place(number, set())
    place_of = {number: candidate for candidate, number in owner.items()}
    for number, mention in enumerate(result):
        if mention.number is None:
            source = mention.match if mention.repeats and mention.match is not None else number
            result[number] = replace(mention, match=place_of.get(source))
    return result


def _same(earlier: SceneMention, later: SceneMention) -> bool:
    """Tells whether "the <later>" may refer to an earlier mention: none of their attributes differ."""
    pairs = ((earlier.size, later.size), (earlier.colour, later.colour), (earlier.shape, later.shape))
    return all(a is None or b is None or a == b for a, b in pairs)


def _status(value: bool | None) -> ClaimStatus:
    return "unverified" if value is None else "supported" if value else "contradicted"


def _object_claims(scene: Scene, mention: SceneMention) -> list[Claim]:
    if mention.repeats:
        return []
    right = mention.match is not None
    detail = "" if right else f"no {'other ' if mention.candidates else ''}{mention.name} in the scene"
    claims = [Claim("object", mention.start, mention.end, _status(right), detail, mention.name)]
    alike = [thing for thing in scene.objects if mention.shape in (None, thing.shape)]
    best = max(alike, key=lambda t: (t.colour == mention.colour) + (t.size == mention.size), default=None)
    for name, start, end in mention.spans:
        stated = getattr(mention, name)
        holds = right or (best is not None and getattr(best, name) == stated)
        detail = "" if holds else f"no {stated} {mention.shape or 'object'} in the scene"
        claims.append(Claim("attribute", start, end, _status(holds), detail, mention.name))
    return claims


def _count_claim(scene: Scene, mention: SceneMention) -> list[Claim]:
    actual = len(mention.candidates)
    holds = actual == mention.number
    detail = "" if holds else f"there are {NUMBERS[actual]}, not {mention.number}"
    return [Claim("count", mention.start, mention.end, _status(holds), detail, mention.name)]


def _things(scene: Scene, mention: SceneMention) -> list[WorldObject]:
    return [scene.objects[i] for i in mention.candidates]


def _relation_claims(
    scene: Scene, text: str, sentence: re.Match[str], inside: list[SceneMention]
) -> list[Claim]:
    claims: list[Claim] = []
    subject: SceneMention | None = None
    for hit in _RELATION.finditer(text, sentence.start(), sentence.end()):
        before = [m for m in inside if m.end <= hit.start()]
        after = [m for m in inside if m.start >= hit.end()]
        if not before or not after:
            continue
        joined = re.search(r"\band\s+(?:is\s+)?(?:to\s+the\s+)?$", text[before[-1].end : hit.start()])
        subject = subject if joined and subject is not None else before[-1]
        if hit["lateral"]:
            word, test = hit["lateral"].lower(), relations.left_right
        else:
            word, test = ("front" if hit["front"] or hit["near"] else "behind"), relations.front_behind
        values = {test(a, b) for a in _things(scene, subject) for b in _things(scene, after[0]) if a is not b}
        holds = None if not values else True if word in values else None if None in values else False
        name = f"{subject.name} {word} {after[0].name}"
        detail = f"it is {'/'.join(str(v) for v in values)}" if holds is False else ""
        claims.append(
            Claim(
                "relation", hit.start(), hit.end(), _status(holds), detail, name, predicate=word,
                object=after[0].name,
            )
        )  # fmt: skip
    return claims


def _place_claims(
    scene: Scene, text: str, sentence: re.Match[str], inside: list[SceneMention]
) -> list[Claim]:
    claims = []
    for hit in _PLACE.finditer(text, sentence.start(), sentence.end()):
        before = [m for m in inside if m.end <= hit.start()]
        after = [m for m in inside if m.start >= hit.end()]
        if after and _LEADS_ON.match(text[hit.end() : after[0].start]):
            subject = after[0]
        elif before:
            subject = before[-1]
        else:
            continue
        word = (hit["side"] or hit["zone"] or "middle").lower()
        verdicts = [_in_place(thing, word) for thing in _things(scene, subject)]
        holds = None if not verdicts else True if True in verdicts else None if None in verdicts else False
        detail = "" if holds is not False else f"it is not {word}"
        claims.append(
            Claim("relation", hit.start(), hit.end(), _status(holds), detail, f"{subject.name} {word}")
        )
    return claims


def _in_place(thing: WorldObject, word: str) -> bool | None:
    """Tells whether an object is where the word says; None within the margin beside the place."""
    u = relations.centre_u(thing)
    inside, near = {
        "left": (u < 0.40, u < 0.48),
        "right": (u > 0.60, u > 0.52),
        "middle": (0.38 < u < 0.62, 0.30 < u < 0.70),
        "foreground": (thing.depth < 3.6, thing.depth < 4.0),
        "background": (thing.depth > 4.3, thing.depth > 3.9),
    }[word]
    return True if inside else None if near else False


def _extreme_claims(scene: Scene, sentence: re.Match[str], inside: list[SceneMention]) -> list[Claim]:
    hit = _EXTREME.search(sentence.group())
    if hit is None or not inside:
        return []
    start, end = (sentence.start() + edge for edge in hit.span())
    word = "farthest" if hit["far"] else "closest"
    # "The closest object is the red cube" or "The red cube is closest": the object nearest in the text.
    subject = min(inside, key=lambda m: min(abs(m.start - end), abs(start - m.end)))
    winner = relations.farthest(scene) if hit["far"] else relations.closest(scene)
    ranked = sorted(scene.objects, key=lambda thing: thing.depth)
    extreme, rival = (ranked[-1], ranked[-2]) if hit["far"] else (ranked[0], ranked[1])
    things = _things(scene, subject)
    unsure = winner is None and rival in things
    holds = None if not things or unsure else extreme in things
    detail = f"it is the {extreme.name}" if holds is False else ""
    return [Claim("relation", start, end, _status(holds), detail, f"{subject.name} {word}")]


def _sign_claims(scene: Scene, sentence: re.Match[str], inside: list[SceneMention]) -> list[Claim]:
    claims = []
    for hit in _SIGN.finditer(sentence.group()):
        if hit["word"].lower() in ("that", "the", "is"):
            continue
        start, end = (sentence.start() + edge for edge in hit.span("word"))
        before = [m for m in inside if m.end <= start]
        after = [m for m in inside if m.start >= end]
        owner = before[-1] if before else after[0] if after else None
        things = list(scene.objects) if owner is None else _things(scene, owner)
        holds = any(thing.word == hit["word"].lower() for thing in things) if things else None
        printed = ", ".join(str(thing.word) for thing in things if thing.word) or "nothing"
        detail = "" if holds is not False else f"the sign says {printed}"
        claims.append(Claim("text", start, end, _status(holds), detail, owner.name if owner else "sign"))
    return claims
