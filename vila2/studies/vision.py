"""Studies of how images reach the language model: the projector, and resolution against tokens."""

from __future__ import annotations

from vila2.studies.study import Arm, Cell, Expectation, Study

_LINEAR = {"model.projector": "linear"}
#: 64 to 96 pixels, as 224 to 336 in the paper.
_SMALL = {f"stages.{stage}.image_size": 64 for stage in ("align", "pretrain", "sft")}

PROJECTOR = Study(
    name="projector",
    title="The projector",
    section="VILA section 3.1, Table 1",
    finding="A linear layer is slightly better than a Transformer block: it makes the language model learn "
    "more.",
    arms=(
        Arm("transformer", "Transformer block, 144 tokens (c)", {"model.projector": "transformer"}),
        Arm("linear", "linear, 144 tokens (d)", _LINEAR),
        Arm("mlp", "MLP, 144 tokens", {"model.projector": "mlp2x_gelu"}),
        Arm("downsample", "2x2 patches and MLP, 36 tokens"),
    ),
    measures={"questions": "questions about images", "4-shot": "4-shot"},
    expectations=(
        Expectation(Cell("transformer", "questions"), Cell("linear", "questions")),
        Expectation(Cell("transformer", "4-shot"), Cell("linear", "4-shot")),
    ),
    note="The shipped language model was told scenes in 36 vectors, which favours the projector of 36 "
    "tokens.",
)

RESOLUTION = Study(
    name="resolution",
    title="Resolution against tokens",
    section="VILA section 4.4, Table 7",
    finding="A higher resolution reads text better, even when a downsampling projector leaves fewer tokens "
    "than the low resolution has; without downsampling it is better still.",
    arms=(
        Arm("low", "64 px, linear, 64 tokens", _LINEAR | _SMALL),
        Arm("high", "96 px, linear, 144 tokens", _LINEAR),
        Arm("downsample", "96 px, downsample, 36 tokens"),
    ),
    measures={"questions/reading": "reading", "questions": "questions about images"},
    expectations=(
        Expectation(Cell("low", "questions/reading"), Cell("high", "questions/reading")),
        Expectation(Cell("low", "questions/reading"), Cell("downsample", "questions/reading")),
        Expectation(Cell("downsample", "questions/reading"), Cell("high", "questions/reading")),
    ),
    paper={
        Cell("low", "questions/reading"): "41.6 (TextVQA, 224 px)",
        Cell("high", "questions/reading"): "49.8 (TextVQA, 336 px, 576 tokens)",
        Cell("downsample", "questions/reading"): "about 46 (TextVQA, 336 px, 144 tokens)",
    },
    note="The shipped vision tower was taught at 96 px.",
)

VISION_STUDIES = (PROJECTOR, RESOLUTION)
