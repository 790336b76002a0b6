"""What each measure means, in a line. Formulas and limits stand in docs/evaluation.md."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from vila2.report.results_page import ShownMeasure

#: The definition of each measure by its name.
_MEANINGS: dict[str, str] = {
    "object precision": "of the objects that captions name, the share that is in the image",
    "object recall": "of the objects in the images, the share that captions name",
    "absent objects": "objects named of which the image shows nothing of that shape, per caption (CHAIR)",
    "captions with an absent object": "share of captions that name such an object (CHAIR_s)",
    "repeated objects": "objects named once more as if they were others, per caption",
    "wrong attributes": "objects named with a color or size that no such object has, per caption",
    # Of results that are older than the three above, which this one adds up.
    "hallucinated objects": "mentions of an object that is not in the image, per caption",
    "captions with a hallucinated object": "share of captions that name an object that is not in the image",
    "attribute precision": "of the attributes stated (such as colors), the share that is right",
    "attribute recall": "of the colors and sizes of the objects, the share that captions state",
    "relation precision": "of the spatial relations stated, the share that holds",
    "relation recall": "of the pairs of objects with a clear relation, the share that captions relate",
    "read-text precision": "of the texts quoted, the share that is written in the image",
    "read-text recall": "of the texts written in the images, the share that captions quote",
    "count precision": "of the counts stated, the share that is right",
    "objects that evidence confirms": "of the objects that evidence decides, the share that it confirms",
    "claims that evidence confirms": "of the claims that evidence decides, the share that it confirms",
    "objects that another image's evidence confirms": "the same against the next image: what costs nothing",
    "labels in evidence that are named": "of the labels in the evidence, the share that captions name",
    "content words that evidence decides": "share of content words within claims that evidence decides",
    "fit with people's captions": "overlap with people's captions in words, weighted by rarity, and in topic",
    "CIDEr-D": "similarity to people's captions by n-grams, weighted by rarity (Vedantam et al. 2015)",
    "content words people confirm": "share of content words that stand in any caption by people",
    "captions said of one image only": "share of captions that no other image got as well",
    "own image told from others": "how often a caption fits its own image's captions better than another's; "
    "50%: it does not look",
    "words": "words per caption, separated by white space",
    "words, standard deviation": "how much captions differ in length",
    "distinct-2 within captions": "share of different pairs of neighboring words within a caption",
    "distinct-1 across captions": "share of different words among all words of all captions",
    "distinct-2 across captions": "share of different pairs of neighboring words over all captions",
    "trigrams also said of other images": "share of three-word sequences that another caption has too; "
    "100%: one sentence about everything",
    "vocabulary": "different words of all captions",
    "marked captions": "share of captions that are refused, empty, cut off or looping",
    "agreement with itself": "overlap in words among captions sampled for one image",
    "agreement with captions of another image": "overlap in words with captions of the next image",
    "lead of the own image": "agreement with itself, less agreement with another image's captions",
    "true claims said again": "of the true claims of a caption, the share that other samples repeat",
    "false claims said again": "of the false claims of a caption, the share that other samples repeat",
    "own image preferred": "how often a caption scores higher with its own image than with another's",
    "gain of the own image": "a caption's score with its own image, less the mean score with others",
    "captions longer than the scorer reads": "share of captions that the scorer reads only in part",
    "readable answers": "share of answers that read as yes or no; any other answer counts as wrong",
    "accuracy": "share of questions that are answered right",
    "precision": "of the questions answered with yes, the share where the object is there",
    "recall": "of the questions about objects that are there, the share answered with yes",
    "F1": "harmonic mean of precision and recall",
    "said yes": "share of questions answered with yes; half of them would be right",
    "said true": "share of statements called true; half of them would be right",
    "right both ways": "share of pairs where a statement and its reverse are both judged right",
    "all statements": "share of statements that are judged right",
    "left/right": "share of statements on left and right that are judged right",
    "front/behind": "share of statements on front and behind that are judged right",
    "above/below": "share of statements on above and below that are judged right",
}
_BY_WORD = {
    "cosine, layer": "mean best cosine of image and text tokens in this layer of the language model",
    "chamfer, layer": "mean distance of image and text tokens in this layer of the language model",
    "cosine": "mean cosine of the embeddings of image and caption",
}
_ANSWERS = "share of questions of this kind that are answered right; baseline: the commonest answer to all"


@dataclass(frozen=True, slots=True)
class Definition:
    """What measures mean; those of one meaning, such as kinds of questions, share it.

    Attributes:
        measures: names of the measures.
        meaning: the definition, in a line.
        anchor: id of the definition in the page.
    """

    measures: tuple[str, ...]
    meaning: str
    anchor: str


def definitions(measures: Iterable[ShownMeasure]) -> tuple[Definition, ...]:
    """Definitions of the measures on a page, in their order; a measure without a known meaning has none."""
    names: dict[str, dict[str, None]] = {}
    for measure in measures:
        meaning = _meaning(measure)
        if meaning is not None:
            names.setdefault(meaning, {})[measure.name] = None
    return tuple(
        Definition(tuple(own), meaning, f"measure-{number}")
        for number, (meaning, own) in enumerate(names.items(), start=1)
    )


def _meaning(measure: ShownMeasure) -> str | None:
    name = measure.name
    if name in _MEANINGS:
        return _MEANINGS[name]
    # "people's captions: own image preferred" is a known measure of other texts.
    within = [known for known in _MEANINGS if " " in known and known in name]
    if within:
        return _MEANINGS[max(within, key=len)]
    for word, meaning in _BY_WORD.items():
        if word in name:
            return meaning
    # Kinds of questions have names of their own, and all of them have a baseline.
    return _ANSWERS if measure.unit == "share" and measure.baseline is not None else None
