"""The tables of the VILA² paper (arXiv 2407.17453) and its slides: our rows beside the paper's."""

from __future__ import annotations

from vila2.studies.study import Arm, Cell, Expectation, Study
from vila2.studies.vila2_rows import (
    ALL,
    APPENDED,
    EACH_ROUND,
    ELSEWHERE,
    OWN,
    PLATEAU,
    POPE,
    READING,
    SATURATED,
    THREE,
    VQA,
    WORDS,
    paper_cells,
)

TABLE_1 = Study(
    name="table-1",
    title="Words per caption and VQA, round by round",
    section="VILA² section 2.1, Table 1",
    finding="Captions grow longer with every round and VQA with them, until both level off after three.",
    arms=EACH_ROUND,
    measures={WORDS: "words per caption", ALL: VQA[ALL]},
    expectations=(
        Expectation(Cell("vila0", ALL), Cell("vila1", ALL)),
        Expectation(Cell("vila1", ALL), Cell("vila2", ALL)),
        Expectation(Cell("vila0", ALL), Cell("vila3", ALL)),
        Expectation(Cell("vila3", ALL), Cell("vila4", ALL), "equal", margin=0.01),
    ),
    paper=paper_cells(
        (WORDS, ALL),
        dict(
            vila0=("11.9 ±9.0 (COYO)", "61.6"),
            vila1=("101.2 ±43.0", "62.5"),
            vila2=("117.1 ±49.1", "63.5"),
            vila3=("126.8 ±50.1", "63.7"),
            vila4=("125.9 ±51.2", "63.6"),
        ),
    ),
    note="The paper's ± are standard deviations of an image's words, ours are intervals of their mean. "
    "The row that the paper calls VQAv2 here equals the TextVQA column of its Table 3.",
    whole_cycle=True,
)

TABLE_2 = Study(
    name="table-2",
    title="Prompts and template of one round",
    section="VILA² section 2.1.1, Table 2",
    finding="A brief prompt does not help, long ones do, and the original text must stay beside the new "
    "caption.",
    arms=(
        Arm("baseline", "baseline: original captions"),
        Arm("simple", "simple prompt", {"cycle.rounds": 1, "cycle.prompts": ["simple"]}),
        Arm("v1", "long v1", {"cycle.rounds": 1, "cycle.prompts": ["long-v1"]}),
        Arm("v2", "long v2", {"cycle.rounds": 1, "cycle.prompts": ["long-v2"]}),
        Arm("v3", "long v3", {"cycle.rounds": 1, "cycle.prompts": ["long-v3"]}),
        Arm("only", "mixed, new caption only", {"cycle.rounds": 1, "cycle.view": "only({layer})"}),
        Arm("concat", "mixed, original and new", {"cycle.rounds": 1}),
    ),
    measures={WORDS: "words per caption", **VQA},
    expectations=(
        Expectation(Cell("simple", ALL), Cell("v1", ALL)),
        Expectation(Cell("baseline", ALL), Cell("concat", ALL)),
        Expectation(Cell("only", ALL), Cell("concat", ALL)),
    ),
    paper=paper_cells(
        (WORDS, ALL, READING, POPE),
        dict(
            baseline=("17.1", "79.6", "61.6", "84.2"),
            simple=("90.4", "79.4", "62.4", "87.0"),
            v1=("94.8", "80.0", "62.2", "84.0"),
            v2=("105.4", "80.1", "62.7", "84.6"),
            v3=("102.4", "80.1", "62.9", "85.0"),
            only=("101.2", "79.6", "62.3", "81.0"),
            concat=("127.3 (both)", "80.0", "62.5", "85.0"),
        ),
    ),
    note="Our words are those of the new caption alone, also where the original stands beside it. "
    + ELSEWHERE,
    whole_cycle=True,
)

TABLE_3 = Study(
    name="table-3",
    title="Rounds of self-augmentation, and a specialist's share",
    section="VILA² section 3.1, Table 3",
    finding="Every round helps until the third; a twentieth of the images annotated by the spatial "
    "specialist helps again.",
    arms=(
        *EACH_ROUND,
        PLATEAU,
        Arm(
            "spatial-share",
            "saturated round + spatial specialist (5%)",
            {**SATURATED, "specialist_data": "share"},
            specialists=("spatial",),
        ),
    ),
    measures={**VQA, "questions/closest": "closest", "questions/farthest": "farthest"},
    expectations=(
        Expectation(Cell("vila0", ALL), Cell("vila3", ALL)),
        Expectation(Cell("saturated", ALL), Cell("spatial-share", ALL)),
        Expectation(Cell("saturated", "questions/closest"), Cell("spatial-share", "questions/closest")),
    ),
    paper=paper_cells(
        (ALL, READING, POPE),
        {
            "vila0": ("79.6", "61.6", "84.2"),
            "vila1": ("80.0", "62.5", "84.6"),
            "vila2": ("80.8", "63.5", "84.7"),
            "vila3": ("80.7", "63.7", "84.5"),
            "vila4": ("80.7", "63.6", "85.0"),
            "spatial-share": ("81.1", "65.0", "85.0"),
        },
    ),
    note=ELSEWHERE,
    whole_cycle=True,
)


TABLE_4 = Study(
    name="table-4",
    title="Captions of specialists",
    section="VILA² section 3.2, Table 4",
    finding="Every specialist's annotations help on most benchmarks, and all three together most.",
    arms=(
        Arm("original", "original caption"),
        PLATEAU,
        Arm("spatial", "+ spatial specialist", APPENDED, specialists=("spatial",)),
        Arm("ocr", "+ OCR specialist", APPENDED, specialists=("ocr",)),
        Arm("grounding", "+ grounding specialist", APPENDED, specialists=("grounding",)),
        Arm("all", "+ all 3 specialists", APPENDED, specialists=THREE),
        Arm(
            "all-equal",
            "+ all 3, a third of the images each",
            APPENDED,
            specialists=THREE,
            control="specialists-at-equal-data",
        ),
    ),
    measures={**VQA, "questions/closest": "closest", "questions/count": "count"},
    expectations=(
        *(Expectation(Cell("original", own), Cell(name, own)) for name, own in OWN.items()),
        *(Expectation(Cell("saturated", own), Cell(name, own)) for name, own in OWN.items()),
        *(Expectation(Cell(name, ALL), Cell("all-equal", ALL)) for name in OWN),
        Expectation(Cell("original", ALL), Cell("all", ALL)),
    ),
    paper=paper_cells(
        (ALL, READING, POPE),
        {
            "original": ("81.4", "65.2", "85.5"),
            "spatial": ("81.9", "66.0", "85.9"),
            "ocr": ("81.8", "65.3", "86.4"),
            "grounding": ("81.8", "65.1", "86.7"),
            "all": ("83.0 (of 82.2)", "70.9 (of 66.7)", "86.4 (of 86.5)"),
        },
    ),
    note="Our specialists are made of the saturated round and write beside the original captions, their "
    "coordinates left out, each exchange in a branch of its own. The paper's last row has ten times the "
    "pretraining data of the others. " + ELSEWHERE,
    whole_cycle=True,
)

TABLES = (TABLE_1, TABLE_2, TABLE_3, TABLE_4)
