"""How captions are decoded: what of a model's faults is the decoder's doing."""

from __future__ import annotations

from typing import Any

from vila2.studies.cycle_base import captions_benchmark
from vila2.studies.study import Arm, Cell, Expectation, Study
from vila2.studies.vila2_rows import CAPTIONS, FOUND, REPEATED, SURE, WRONG

#: Decoders by name: a label, and how the benchmark of captions differs.
_DECODERS: dict[str, tuple[str, dict[str, Any]]] = {
    "greedy": ("greedy", {}),
    "penalty": ("repetition penalty 1.1", {"repetition_penalty": 1.1}),
    "consistent": ("the first consistent one of nine", {"attempts": 9}),
}
_MODELS = {"vila0": ("VILA_0", 0), "vila1": ("VILA_1", 1)}

DECODERS = Study(
    name="decoders",
    title="How captions are decoded",
    section="VILA² section 2.1, beside its tables",
    finding="The paper decodes all captions alike, and does not say how.",
    arms=tuple(
        Arm(
            f"{model}-{decoder}",
            f"{label}, {how}",
            {"cycle.rounds": rounds, "evaluate": [captions_benchmark(**changes)]},
        )
        for model, (label, rounds) in _MODELS.items()
        for decoder, (how, changes) in _DECODERS.items()
    ),
    measures={**CAPTIONS, SURE: "object precision", "captions/words": "words"},
    expectations=tuple(
        expectation
        for model in _MODELS
        for decoder in ("penalty", "consistent")
        for expectation in (
            *(
                Expectation(Cell(f"{model}-{decoder}", fault), Cell(f"{model}-greedy", fault))
                for fault in (REPEATED, WRONG)
            ),
            Expectation(Cell(f"{model}-greedy", FOUND), Cell(f"{model}-{decoder}", FOUND), "equal"),
        )
    ),
    note="The rows of a model are the same weights. What a decoder changes for both models alike is not the "
    "doing of a round: compare models only under one decoder, as all other tables do.",
    whole_cycle=True,
)
