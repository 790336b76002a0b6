"""What the tables of VILA² have in common: measures, settings and rows."""

from __future__ import annotations

from vila2.studies.study import Arm, Cell

ROUNDS = 4
WORDS, ALL, READING = "layer/words", "questions", "questions/reading"
#: Words that no training shows: a model that has learned words, and not letters, reads none of them.
UNSEEN = "questions/reading_unseen"
#: The hardest of POPE's three settings.
POPE = "pope/adversarial: accuracy"
SURE, FOUND = "captions/object precision", "captions/object recall"
ABSENT, REPEATED = "captions/absent objects", "captions/repeated objects"
WRONG = "captions/wrong attributes"
#: What is wrong with captions, and what they find: always shown together.
CAPTIONS = {
    ABSENT: "absent objects (CHAIR)",
    REPEATED: "repeated objects",
    WRONG: "wrong attributes",
    FOUND: "object recall",
}
VQA = {
    ALL: "all questions (VQAv2)",
    READING: "reading, known words (TextVQA)",
    UNSEEN: "reading, unseen words",
    POPE: "POPE, adversarial",
}
ELSEWHERE = (
    "GQA, SQA, LLaVA-W, MM-Vet, MMMU, SEED and MME of the paper have no counterpart in the miniature world."
)

#: The default delta of half a point would need several times the scenes.
SATURATED = {"cycle.rounds": ROUNDS, "cycle.saturation": {"measure": "apart", "delta": 1.0}}
EACH_ROUND = tuple(
    Arm(f"vila{number}", f"VILA_{number}", {"cycle.rounds": number}) for number in range(ROUNDS + 1)
)
#: The last round that gains something.
PLATEAU = Arm("saturated", "the saturated round", SATURATED)


def paper_cells(measures: tuple[str, ...], rows: dict[str, tuple[str, ...]]) -> dict[Cell, str]:
    """Lists the paper's figures by cell.

    Args:
        measures: measures of the columns.
        rows: figures of each arm, one for each measure; empty where the source has none.
    """
    return {
        Cell(arm, measure): figure
        for arm, figures in rows.items()
        for measure, figure in zip(measures, figures, strict=True)
        if figure
    }


#: The rounds, and specialists whose annotations are appended to the original captions.
APPENDED = {**SATURATED, "merge.arm": "append"}
THREE = ("spatial", "ocr", "grounding")
#: The kind of question that each specialist is for.
OWN = {"spatial": "questions/closest", "ocr": READING, "grounding": "questions/count"}
