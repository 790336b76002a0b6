"""The words of questions and answers: several templates for every relation and form of answer.

Placeholders: ``{t}`` is the thing asked about, ``{a}`` its anchor and ``{o}`` another thing (each with its
box, where it has one). ``{label}`` is a category, ``{rel}`` and ``{word}`` are relations, and ``{box}`` is
the answer's box.
"""

from __future__ import annotations

from dataclasses import dataclass

#: Forms of answers. "box": the target's box. "name": its name. "choice": one of two words, or of two things.
#: "yes-no": yes or no. "sentence": the choice in a full sentence.
FORMS = ("box", "name", "choice", "yes-no", "sentence")

#: Relations of each group of templates.
GROUPS = {
    "left": "side",
    "right": "side",
    "front": "depth",
    "behind": "depth",
    "closest": "closest",
    "camera_left": "camera_side",
    "camera_right": "camera_side",
    "camera_close": "camera_distance",
    "camera_far": "camera_distance",
    "camera_closest": "camera_extreme",
    "camera_farthest": "camera_extreme",
}


@dataclass(frozen=True, slots=True)
class Template:
    """A question and its answer; "{box}", "{t}" and "{word}" are filled in."""

    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class Wording:
    """A way to speak.

    Attributes:
        templates: templates by group and form.
        phrases: phrases for a relation in a question.
        words: the single word that answers a choice.
        yes, no: words of these answers.
    """

    templates: dict[tuple[str, str], tuple[Template, ...]]
    phrases: dict[str, tuple[str, ...]]
    words: dict[str, str]
    yes: str
    no: str


def _templates(
    table: dict[tuple[str, str], tuple[tuple[str, str], ...]],
) -> dict[tuple[str, str], tuple[Template, ...]]:
    return {key: tuple(Template(*pair) for pair in pairs) for key, pairs in table.items()}


_SHORT = " Answer with one word."
_DEPTH = ' Answer with "in front" or "behind".'
_IN_FULL = " Answer in a sentence."

FULL = Wording(
    templates=_templates({
        ("side", "box"): (
            ("Where in the image is the {label} that is {rel} {a}?", "{box}"),
            ("From the camera's view, which {label} is {rel} {a}? Give its box.", "{box}"),
            ("Locate the {label} {rel} {a}, as seen from the camera.", "{box}"),
        ),
        ("side", "name"): (
            ("From the camera's view, what is {rel} {a}?", "The {name}."),
            ("Which object is {rel} {a}, seen from the camera?", "The {name}."),
        ),
        ("side", "choice"): (
            ("From the camera's view, is {t} to the left or to the right of {a}?" + _SHORT, "{word}"),
            ("Is {t} left or right of {a}, as seen from the camera?" + _SHORT, "{word}"),
            ("Seen from the camera, on which side of {a} is {t}, left or right?" + _SHORT, "{word}"),
        ),
        ("side", "yes-no"): (
            ("From the camera's view, is {t} {rel} {a}?", "{word}"),
            ("Is {t} {rel} {a}, as seen from the camera?", "{word}"),
            ("Seen from the camera, does {t} appear {rel} {a}?", "{word}"),
        ),
        ("side", "sentence"): (
            (
                "From the camera's view, is {t} to the left or to the right of {a}?" + _IN_FULL,
                "{T} is {rel} {a}.",
            ),
            ("On which side of {a} is {t}, as seen from the camera?", "{T} is {rel} {a}."),
        ),
        ("depth", "box"): (
            ("Where in the image is the {label} that is {rel} {a}?", "{box}"),
            ("From the camera's view, which {label} is {rel} {a}? Give its box.", "{box}"),
            ("Locate the {label} that is {rel} {a}, as seen from the camera.", "{box}"),
        ),
        ("depth", "name"): (
            ("From the camera's view, what is {rel} {a}?", "The {name}."),
            ("Which object is {rel} {a}, seen from the camera?", "The {name}."),
        ),
        ("depth", "choice"): (
            ("From the camera's view, is {t} in front of or behind {a}?" + _DEPTH, "{word}"),
            ("Is {t} in front of or behind {a}, as seen from the camera?" + _DEPTH, "{word}"),
        ),
        ("depth", "yes-no"): (
            ("From the camera's view, is {t} {rel} {a}?", "{word}"),
            ("Is {t} {rel} {a}, as seen from the camera?", "{word}"),
            ("Seen from the camera, would you say that {t} is {rel} {a}?", "{word}"),
        ),
        ("depth", "sentence"): (
            ("From the camera's view, is {t} in front of or behind {a}?" + _IN_FULL, "{T} is {rel} {a}."),
            ("Say whether {t} is in front of or behind {a}, as seen from the camera.", "{T} is {rel} {a}."),
        ),
        ("closest", "box"): (
            ("Where in the image is the {label} that is closest to {a}?", "{box}"),
            ("Which {label} is nearest to {a}? Give its box.", "{box}"),
            ("Locate the {label} that is closest to {a}.", "{box}"),
        ),
        ("closest", "name"): (
            ("Which object is closest to {a}?", "The {name}."),
            ("What is nearest to {a}?", "The {name}."),
        ),
        ("closest", "choice"): (
            ("Which is closer to {a}: {t} or {o}?", "{W}."),
            ("Of {t} and {o}, which one is nearer to {a}?", "{W}."),
        ),
        ("closest", "yes-no"): (
            ("Is {t} closer to {a} than {o} is?", "{word}"),
            ("Is {t} nearer to {a} than {o} is?", "{word}"),
        ),
        ("closest", "sentence"): (
            ("Compare how far {t} and {o} are from {a}.", "{W} is closer to {a}."),
            ("Which of {t} and {o} is closer to {a}?" + _IN_FULL, "{W} is closer to {a}."),
        ),
        ("camera_side", "box"): (
            ("Where is the {label} that is {rel}?", "{box}"),
            ("Which {label} is {rel}? Give its box.", "{box}"),
        ),
        ("camera_side", "choice"): (
            ("Is {t} on the left or on the right side of the image?" + _SHORT, "{word}"),
            ("On which side of the image is {t}, left or right?" + _SHORT, "{word}"),
        ),
        ("camera_side", "yes-no"): (
            ("Is {t} {rel}?", "{word}"),
            ("Can {t} be seen {rel}?", "{word}"),
        ),
        ("camera_side", "sentence"): (
            ("On which side of the image is {t}?" + _IN_FULL, "{T} is {rel}."),
            ("Say whether {t} is on the left or on the right side of the image.", "{T} is {rel}."),
        ),
        ("camera_distance", "box"): (
            ("Where is the {label} that is {rel} the camera?", "{box}"),
            ("Which {label} is {rel} the camera? Give its box.", "{box}"),
        ),
        ("camera_distance", "choice"): (
            ("Is {t} close to the camera or far from it?" + _SHORT, "{word}"),
            ("Is {t} close to or far from the camera?" + _SHORT, "{word}"),
        ),
        ("camera_distance", "yes-no"): (
            ("Is {t} {rel} the camera?", "{word}"),
            ("Would you say that {t} is {rel} the camera?", "{word}"),
        ),
        ("camera_distance", "sentence"): (
            ("Is {t} close to the camera or far from it?" + _IN_FULL, "{T} is {rel} the camera."),
            ("Say whether {t} is close to the camera or far from it.", "{T} is {rel} the camera."),
        ),
        ("camera_extreme", "box"): (
            ("Where in the image is the {label} that is {rel} the camera?", "{box}"),
            ("Which {label} is {rel} the camera? Give its box.", "{box}"),
            ("Locate the {label} that is {rel} the camera.", "{box}"),
        ),
        ("camera_extreme", "name"): (
            ("Which object is {rel} the camera?", "The {name}."),
            ("What is {rel} the camera?", "The {name}."),
        ),
        ("camera_extreme", "choice"): (
            ("Which is {comparative} the camera: {t} or {o}?", "{W}."),
            ("Of {t} and {o}, which one is {comparative} the camera?", "{W}."),
        ),
        ("camera_extreme", "yes-no"): (
            ("Is {t} {comparative} the camera than {o} is?", "{word}"),
            ("Compared with {o}, is {t} {comparative} the camera?", "{word}"),
        ),
        ("camera_extreme", "sentence"): (
            ("Compare how far {t} and {o} are from the camera.", "{W} is {comparative} the camera."),
            (
                "Which of {t} and {o} is {comparative} the camera?" + _IN_FULL,
                "{W} is {comparative} the camera.",
            ),
        ),
    }),
    phrases={
        "left": ("to the left of", "left of", "on the left side of"),
        "right": ("to the right of", "right of", "on the right side of"),
        "front": ("in front of",),
        "behind": ("behind",),
        "closest": ("closest to",),
        "camera_left": ("on the left side of the image", "on the left of the image"),
        "camera_right": ("on the right side of the image", "on the right of the image"),
        "camera_close": ("close to",),
        "camera_far": ("far from", "far away from"),
        "camera_closest": ("closest to", "nearest to"),
        "camera_farthest": ("farthest from", "farthest away from"),
    },
    words={"left": "Left", "right": "Right", "front": "In front", "behind": "Behind", "camera_left": "Left",
           "camera_right": "Right", "camera_close": "Close", "camera_far": "Far"},
    yes="Yes",
    no="No",
)  # fmt: skip

#: The words of the miniature world's tokenizer and no others, in the manner of its own questions. Its
#: language model reads numbers digit by digit, so there are no boxes.
PLAIN = Wording(
    templates=_templates({
        ("side", "name"): (("Which object is {rel} {a}?", "{name}"), ("What is {rel} {a}?", "{name}")),
        ("side", "choice"): (
            ("Is {t} left or right of {a}?", "{word}"),
            ("Is {t} on the left or on the right of {a}?", "{word}"),
        ),
        ("side", "yes-no"): (
            ("Is {t} {rel} {a}?", "{word}"),
            ("Is it true that {t} is {rel} {a}?", "{word}"),
        ),
        ("side", "sentence"): (
            ("Describe the position of {t} and {a}, left or right.", "{T} is {rel} {a}."),
            ("On which side of {a} is {t}?", "{T} is {rel} {a}."),
        ),
        ("depth", "name"): (("Which object is {rel} {a}?", "{name}"), ("What is {rel} {a}?", "{name}")),
        ("depth", "choice"): (
            ("Is {t} in front of or behind {a}?", "{word}"),
            ("Is {t} in front of {a} or behind it?", "{word}"),
        ),
        ("depth", "yes-no"): (
            ("Is {t} {rel} {a}?", "{word}"),
            ("Is it true that {t} is {rel} {a}?", "{word}"),
        ),
        ("depth", "sentence"): (
            ("Describe the depth of {t} and {a}.", "{T} is {rel} {a}."),
            ("Describe the position of {t} and {a}, in front or behind.", "{T} is {rel} {a}."),
        ),
        ("closest", "name"): (
            ("Which object is closest to {a}?", "{name}"),
            ("Which object is nearest to {a}?", "{name}"),
        ),
        ("closest", "choice"): (
            ("Which is closer to {a}, {t} or {o}?", "{winner}"),
            ("Which one is closer to {a}: {t} or {o}?", "{winner}"),
        ),
        ("closest", "yes-no"): (
            ("Is {t} closer to {a} than {o} is?", "{word}"),
            ("Is it true that {t} is closer to {a} than {o} is?", "{word}"),
        ),
        ("closest", "sentence"): (
            ("Describe which of {t} and {o} is closer to {a}.", "{W} is closer to {a}."),
            ("Describe the distance of {t} and {o} to {a}.", "{W} is closer to {a}."),
        ),
        ("camera_side", "choice"): (
            ("Is {t} on the left or on the right of the camera?", "{word}"),
            ("Is {t} left or right of the camera?", "{word}"),
        ),
        ("camera_side", "yes-no"): (("Is {t} {rel}?", "{word}"), ("Is it true that {t} is {rel}?", "{word}")),
        ("camera_side", "sentence"): (
            ("On which side of the camera is {t}?", "{T} is {rel}."),
            ("Describe the position of {t} and the camera, left or right.", "{T} is {rel}."),
        ),
        ("camera_distance", "choice"): (
            ("Is {t} close to or far from the camera?", "{word}"),
            ("Is {t} close to the camera or far from it?", "{word}"),
        ),
        ("camera_distance", "yes-no"): (
            ("Is {t} {rel} the camera?", "{word}"),
            ("Is it true that {t} is {rel} the camera?", "{word}"),
        ),
        ("camera_distance", "sentence"): (
            ("Describe the distance of {t} to the camera.", "{T} is {rel} the camera."),
            ("Describe {t}, close to or far from the camera.", "{T} is {rel} the camera."),
        ),
        ("camera_extreme", "name"): (
            ("Which object is {rel} the camera?", "{name}"),
            ("What is {rel} the camera?", "{name}"),
        ),
        ("camera_extreme", "choice"): (
            ("Which is {comparative} the camera, {t} or {o}?", "{winner}"),
            ("Which one is {comparative} the camera: {t} or {o}?", "{winner}"),
        ),
        ("camera_extreme", "yes-no"): (
            ("Is {t} {comparative} the camera than {o} is?", "{word}"),
            ("Is it true that {t} is {comparative} the camera than {o} is?", "{word}"),
        ),
        ("camera_extreme", "sentence"): (
            (
                "Describe which of {t} and {o} is {comparative} the camera.",
                "{W} is {comparative} the camera.",
            ),
            (
                "Of {t} and {o}, describe which one is {comparative} the camera.",
                "{W} is {comparative} the camera.",
            ),
        ),
    }),
    phrases={
        "left": ("left of", "to the left of", "on the left of"),
        "right": ("right of", "to the right of", "on the right of"),
        "front": ("in front of",),
        "behind": ("behind",),
        "closest": ("closest to",),
        "camera_left": ("left of the camera", "on the left of the camera"),
        "camera_right": ("right of the camera", "on the right of the camera"),
        "camera_close": ("close to", "near to"),
        "camera_far": ("far from", "far away from"),
        "camera_closest": ("closest to", "nearest to"),
        "camera_farthest": ("farthest from", "farthest away from"),
    },
    words={"left": "left", "right": "right", "front": "in front", "behind": "behind", "camera_left": "left",
           "camera_right": "right", "camera_close": "close", "camera_far": "far"},
    yes="yes",
    no="no",
)  # fmt: skip

COMPARATIVES = {"camera_closest": "closer to", "camera_farthest": "farther from"}


def wording_of(domain: str) -> Wording:
    """The words for a domain."""
    return PLAIN if domain == "miniature" else FULL
