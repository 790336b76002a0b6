"""What specialists' annotations add beside as much other training: the claim that VILA² stands or falls with.

The tables of VILA² take hours for a seed. This study holds the arms that decide it, at a size that five
seeds can be had of.
"""

from __future__ import annotations

from typing import Any

from vila2.studies.study import Arm, Cell, Expectation, Study
from vila2.studies.vila2_rows import ALL, CAPTIONS, FOUND, REPEATED, SURE, WORDS, WRONG

#: Two specialists: what the one for OCR needs, 40,000 readings, is more than all other arms take.
_TWO = ("spatial", "grounding")
_OWN = {"questions/closest": "closest", "questions/count": "count"}
#: As in the study of preferences: VILA_0 must see well enough to be worth listening to.
_SIZE: dict[str, Any] = {
    "data.pretrain.options.count": 1000,
    "data.instructions.options.count": 150,
    "data.test.options.count": 400,
    "stages.sft.epochs": 7,
}
_ROUND = {**_SIZE, "cycle.rounds": 1}
#: As many scenes as the specialists' own recipes say: with half of them they hardly know more than VILA_0.
_ANNOTATED = {**_ROUND, **{f"specialists.{name}.set[data.options.count]": 1000 for name in _TWO}}

_BEFORE = (
    Arm("vila0", "VILA_0", _SIZE),
    Arm("round", "VILA_1, one round", _ROUND),
)
_METHOD = (
    Arm(
        "described",
        "VILA²: specialists describe",
        {**_ANNOTATED, "specialists.spatial.set[annotate.prompts]": []},
        specialists=_TWO,
    ),
    Arm("asked", "VILA²: the spatial one is asked outright, too", _ANNOTATED, specialists=_TWO),
)
_COMPUTE = (
    Arm("twice-sft", "twice the SFT", _SIZE, control="twice-sft"),
    *(
        Arm(name, label, {**_ANNOTATED, "specialist_data": how}, specialists=_TWO)
        for name, label, how in (
            ("more-sft", "SFT for the tokens of the last training", "more-sft"),
            ("passes", "the specialists' data in SFT, as often as they read it", "sft-equal-passes"),
            ("total", "the same, for the tokens of all trainings", "sft-equal-total"),
        )
    ),
)
_CEILING = Arm("true-captions", "true captions (the ceiling)", _ROUND, control="true-captions")
_DATA_IN_SFT = ("passes", "total")

EQUAL_COMPUTE = Study(
    name="equal-compute",
    title="What specialists' annotations add beside as much other training",
    section="VILA² section 3.2",
    finding="What specialists say about the images teaches the generalist beyond the plateau of "
    "self-augmentation.",
    arms=(*_BEFORE, *_METHOD, *_COMPUTE, _CEILING),
    measures={
        WORDS: "words per caption",
        ALL: "all questions",
        **_OWN,
        SURE: "object precision",
        **CAPTIONS,
    },
    expectations=(
        Expectation(Cell("vila0", ALL), Cell("round", ALL)),
        *(
            expectation
            for arm in ("described", "asked")
            for expectation in (
                *(
                    Expectation(Cell(other, ALL), Cell(arm, ALL))
                    for other in ("round", "twice-sft", "more-sft")
                ),
                *(Expectation(Cell(other, ALL), Cell(arm, ALL)) for other in _DATA_IN_SFT),
                *(Expectation(Cell("round", own), Cell(arm, own)) for own in _OWN),
                *(Expectation(Cell(other, own), Cell(arm, own)) for other in _DATA_IN_SFT for own in _OWN),
                Expectation(Cell(arm, REPEATED), Cell("vila0", REPEATED)),
                Expectation(Cell(arm, WRONG), Cell("vila0", WRONG)),
                Expectation(Cell("vila0", FOUND), Cell(arm, FOUND), "equal"),
            )
        ),
    ),
    note="One round and two specialists. The spatial specialist's recipe asks it two questions of every "
    "image, in the words of SFT and test, besides the paper's request for a description; in the row "
    "“specialists describe” it only describes. The rows with data in SFT have no annotations and no merge.",
    whole_cycle=True,
)
