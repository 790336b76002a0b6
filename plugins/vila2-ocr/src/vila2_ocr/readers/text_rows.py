"""Readers for the rows of each data set."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from vila2.plugin import UnfitConversation

from vila2_ocr.readers.exchanges import Read, branches, text_of

#: Marks of data sets for a text that nobody could read (TextOCR).
UNREADABLE = frozenset({"", ".", "###", "n/a", "none"})
_LETTER = re.compile(r"\(?([A-Za-z])(?:[).:]+\s*|$)")
_LETTERED = re.compile(r"\s*\(?[A-Za-z][).:]\s*")
_SHORT = "\nAnswer with the letter of the right option."


def textocr(fields: Mapping[str, Any], images: int) -> Read:
    """TextOCR-GPT4V: the transcript, and the description in ``caption_condensed`` where there is one."""
    text = text_of(fields["caption_text"])
    if text.strip().lower() in UNREADABLE:
        raise UnfitConversation("unreadable-text", f"caption_text {text!r:.40}")
    pairs = [("Transcribe the text in the image, and say where it stands.", text)]
    if isinstance(fields.get("caption_condensed"), str) and fields["caption_condensed"].strip():
        pairs.append(("Describe the image briefly, with the text in it.", fields["caption_condensed"]))
    return branches(pairs, images)


def synthdog(fields: Mapping[str, Any], images: int) -> Read:
    """SynthDoG: ``ground_truth`` is JSON in a string."""
    try:
        text = json.loads(fields["ground_truth"])["gt_parse"]["text_sequence"]
    except (ValueError, TypeError, KeyError) as error:
        raise UnfitConversation(
            "bad-row", f"ground_truth without gt_parse.text_sequence ({error})"
        ) from error
    return branches([("Read all text in the image.", text_of(text))], images)


def ocr_vqa(fields: Mapping[str, Any], images: int) -> Read:
    """OCR-VQA: a list of questions and one of answers."""
    questions, answers = fields["questions"], fields["answers"]
    if len(questions) != len(answers):
        raise UnfitConversation("bad-row", f"{len(questions)} questions but {len(answers)} answers")
    return branches(list(zip(questions, answers, strict=True)), images)


def textcaps(fields: Mapping[str, Any], images: int) -> Read:
    """TextCaps: one caption, or a list. Training uses the first; all of them are references."""
    captions = fields["caption_str"]
    captions = [captions] if isinstance(captions, str) else list(captions)
    if not captions:
        raise UnfitConversation("missing-text", "no caption")
    question = "Describe the image, with the text that can be read in it."
    return branches([(question, captions[0])], images, (tuple(captions),))


def arxivqa(fields: Mapping[str, Any], images: int) -> Read:
    """ArxivQA: a choice between options; the label may be "B", "B)", "B) text" or the option's text."""
    options = [str(option).strip() for option in fields["options"]]
    number = _labelled(str(fields["label"]).strip(), options)
    return branches([(_choice(fields["question"], options), _letter(number))], images)


def ai2d(fields: Mapping[str, Any], images: int) -> Read:
    """AI2D: a choice between options; the answer is the number of an option, from 0."""
    options = [str(option).strip() for option in fields["options"]]
    answer = str(fields["answer"]).strip()
    if not answer.isdecimal() or int(answer) >= len(options):
        raise UnfitConversation("bad-label", f"answer {answer!r:.40} of {len(options)} options")
    return branches([(_choice(fields["question"], options), _letter(int(answer)))], images)


def docvqa(fields: Mapping[str, Any], images: int) -> Read:
    """DocVQA: several answers count as right; training uses the first."""
    answers = [answer for answer in fields["answers"] if isinstance(answer, str) and answer.strip()]
    if not answers:
        raise UnfitConversation("missing-text", "no answer")
    return branches([(fields["question"], answers[0])], images, (tuple(answers),))


def dvqa(fields: Mapping[str, Any], images: int) -> Read:
    """DVQA: one question and one answer."""
    return branches([(fields["question"], fields["answer"])], images)


def chartqa(fields: Mapping[str, Any], images: int) -> Read:
    """ChartQA: the label is a text, or a list of one."""
    label = fields["label"]
    labels = list(label) if isinstance(label, Sequence) and not isinstance(label, str) else [label]
    if not labels:
        raise UnfitConversation("missing-text", "no label")
    return branches([(fields["query"], labels[0])], images)


def _choice(question: Any, options: Sequence[str]) -> str:
    if not options:
        raise UnfitConversation("bad-row", "no options")
    listed = [f"{_letter(number)}) {_LETTERED.sub('', one, count=1)}" for number, one in enumerate(options)]
    return "\n".join([text_of(question), *listed]) + _SHORT


def _labelled(label: str, options: Sequence[str]) -> int:
    """The option that a label means: a letter counts as a letter, anything else first as an option's text."""
    letter = _LETTER.match(label)
    number = ord(letter[1].upper()) - ord("A") if letter else len(options)
    if letter is None or letter.end() < len(label):
        bare = [_LETTERED.sub("", option, count=1).strip().lower() for option in options]
        for given in (label.lower(), _LETTERED.sub("", label, count=1).strip().lower()):
            if bare.count(given) == 1:
                return bare.index(given)
    if number >= len(options):
        raise UnfitConversation("bad-label", f"label {label!r:.40} of {len(options)} options")
    return number


def _letter(number: int) -> str:
    return chr(ord("A") + number)
