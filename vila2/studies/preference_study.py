"""Choosing captions by agreement, and preferences for them: not in the papers."""

from __future__ import annotations

from typing import Any

from vila2.studies.cycle_base import captions_benchmark
from vila2.studies.study import Arm, Cell, Expectation, Study

#: Sizes that are the same for every size of a study: VILA_0 must see well enough to agree with itself.
_SIZE: dict[str, Any] = {
    "data.pretrain.options.count": 1000,
    "data.instructions.options.count": 150,
    "data.test.options.count": 300,
    "stages.sft.epochs": 7,
}
_BASE: dict[str, Any] = {
    **_SIZE,
    "evaluate": [
        captions_benchmark(),
        captions_benchmark(name="agreed", choose="agreement", samples=9),
        {"name": "questions", "kind": "questions", "dataset": "test", "max_new_tokens": 6, "batch_size": 125},
    ],
}
_PREFER = {"samples": 5, "share": 0.5, "replay": 1.0, "epochs": 2.0, "learning_rate": 2e-4}
_GREEDY, _AGREED = "captions", "agreed"
_ABSENT, _REPEATED, _WRONG = "absent objects", "repeated objects", "wrong attributes"
_FOUND, _SURE, _WORDS, _ALL = "object recall", "object precision", "words", "questions"


def _cell(arm: str, decoder: str, measure: str) -> Cell:
    return Cell(arm, f"{decoder}/{measure}")


def _expected(decoder: str) -> tuple[Expectation, ...]:
    """What preferences should change under one decoder."""
    return (
        *(
            Expectation(_cell("preferred", decoder, fault), _cell(other, decoder, fault))
            for fault in (_REPEATED, _WRONG)
            for other in ("vila0", "twice-sft")
        ),
        Expectation(_cell("vila0", decoder, _FOUND), _cell("preferred", decoder, _FOUND), "equal"),
        Expectation(_cell("vila0", decoder, _SURE), _cell("preferred", decoder, _SURE)),
        Expectation(_cell("vila0", decoder, _WORDS), _cell("preferred", decoder, _WORDS)),
    )


_ARM = Arm("preferred", "VILA_0 + preferences by agreement", {**_BASE, "cycle.preference": _PREFER})
_DECODED = {
    f"{decoder}/{measure}": f"{label}: {measure}"
    for decoder, label in ((_GREEDY, "greedy"), (_AGREED, "most agreed of nine"))
    for measure in (_ABSENT, _REPEATED, _WRONG, _FOUND, _SURE, _WORDS)
}

PREFERENCES = Study(
    name="preference",
    title="Captions chosen by agreement, and preferences for them",
    section="not in the papers",
    finding="The papers train on captions as they are decoded, and do not choose among samples.",
    arms=(
        Arm("vila0", "VILA_0", _BASE),
        Arm("twice-sft", "control: twice the SFT", _BASE, control="twice-sft"),
        _ARM,
    ),
    measures={**_DECODED, _ALL: "all questions"},
    expectations=(
        # What a model says again in other samples is there; what it invents differs from sample to sample.
        Expectation(_cell("vila0", _AGREED, _REPEATED), _cell("vila0", _GREEDY, _REPEATED)),
        Expectation(_cell("vila0", _AGREED, _WRONG), _cell("vila0", _GREEDY, _WRONG)),
        Expectation(_cell("vila0", _GREEDY, _FOUND), _cell("vila0", _AGREED, _FOUND), "equal"),
        Expectation(Cell("vila0", _ALL), Cell("preferred", _ALL), "equal"),
        *(expectation for decoder in (_GREEDY, _AGREED) for expectation in _expected(decoder)),
    ),
    note="Every model is measured under both decoders. The control takes as many steps of SFT once more, and "
    "no samples are drawn for it.",
    whole_cycle=True,
)

LENGTHS = Study(
    name="preference-length",
    title="How long the better caption of a pair is",
    section="not in the papers",
    finding="The papers have no preferences.",
    arms=(
        Arm("vila0", "VILA_0", _BASE),
        _ARM,
        *(
            Arm(name, label, {**_BASE, "cycle.preference": {**_PREFER, "length": name}})
            for name, label in (
                ("matched", "the same, the two captions about equally long"),
                ("free", "the same, captions of any length"),
            )
        ),
    ),
    measures={**_DECODED, _ALL: "all questions"},
    expectations=tuple(
        # Without the floor on length, faults are avoided by saying less.
        Expectation(_cell(short, _GREEDY, measure), _cell("preferred", _GREEDY, measure))
        for short in ("matched", "free")
        for measure in (_WORDS, _FOUND)
    ),
    note="Every model is measured under both decoders; compare models within one.",
    whole_cycle=True,
)
