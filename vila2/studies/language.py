"""Studies of training the language model: freezing, LoRA, a visual expert, another model, deep alignment."""

from __future__ import annotations

from vila2.studies.study import Arm, Cell, Expectation, Study

FROZEN_PRETRAIN = {"stages.pretrain.train": ["projector"]}
_FROZEN = FROZEN_PRETRAIN | {"stages.sft.train": ["projector"]}
_LINEAR = {"model.projector": "linear"}
#: VILA's rank of 64 is a 64th of its language model's width of 4096; so is 2 of 128.
_LORA = {"rank": 2, "alpha": 4}
#: Vicuna is Llama 2 tuned on conversations: this is our language model tuned on text-only exchanges.
_TUNED = {
    "stages.chat": {
        "train": ["language"],
        "style": "chat",
        "mixture": [{"dataset": "text"}],
        "learning_rate": 5e-4,
        "batch_size": 8,
    }
}
_QUALITY = {"questions": "questions about images", "4-shot": "4-shot"}
DEEP = "alignment/cosine, layer 4"

FREEZE = Study(
    name="freeze",
    title="Freezing or updating the language model",
    section="VILA section 3.1, Table 1",
    finding="Freezing the language model while pretraining does not hurt 0-shot accuracy but 4-shot; "
    "training nothing but the projector in SFT too is poor.",
    arms=(
        Arm("frozen", "frozen in pretraining and SFT (a)", _FROZEN),
        Arm("frozen-pretrain", "frozen in pretraining (b)", FROZEN_PRETRAIN),
        Arm("updated", "updated (c)"),
    ),
    measures=_QUALITY,
    expectations=(
        Expectation(Cell("frozen", "questions"), Cell("frozen-pretrain", "questions")),
        Expectation(Cell("frozen-pretrain", "questions"), Cell("updated", "questions"), "equal"),
        Expectation(Cell("frozen-pretrain", "4-shot"), Cell("updated", "4-shot")),
    ),
    note="The paper's settings a to c have a Transformer block as projector, ours joins 2x2 patches.",
)

LORA = Study(
    name="lora",
    title="LoRA or full fine-tuning",
    section="VILA section 4.4, Table 9",
    finding="Fine-tuning the language model outperforms LoRA (rank 64) by a large margin.",
    arms=(
        Arm("lora", "LoRA", {"stages.pretrain.lora": _LORA, "stages.sft.lora": _LORA}),
        Arm("full", "full fine-tuning"),
    ),
    measures=_QUALITY,
    expectations=(
        Expectation(Cell("lora", "questions"), Cell("full", "questions")),
        Expectation(Cell("lora", "4-shot"), Cell("full", "4-shot")),
    ),
    note="Rank 2, the same share of the width as 64 of 4096.",
)

VISUAL_EXPERT = Study(
    name="visual-expert",
    title="A frozen language model with a visual expert",
    section="VILA section 4.4, Table 8",
    finding="Fine-tuning the language model gives better accuracy and in-context learning than freezing it "
    "beside a visual expert, at almost half the size.",
    arms=(
        Arm(
            "expert",
            "frozen in pretraining, with a visual expert",
            {
                "model.visual_expert": "dense",
                "stages.pretrain.train": ["projector", "visual_expert"],
                "stages.sft.train": ["projector", "language", "visual_expert"],
            },
        ),
        Arm("updated", "updated, no expert"),
    ),
    measures=_QUALITY,
    expectations=(
        Expectation(Cell("expert", "questions"), Cell("updated", "questions")),
        Expectation(Cell("expert", "4-shot"), Cell("updated", "4-shot")),
    ),
)

ANOTHER_LLM = Study(
    name="another-llm",
    title="Another language model",
    section="VILA appendix C, Table 11",
    finding="With Vicuna 1.5 in place of Llama 2 the conclusions are the same: updating the language model "
    "matters for in-context learning, and the two backbones are similarly accurate.",
    arms=(
        Arm("other-frozen", "the other, frozen in pretraining", _TUNED | FROZEN_PRETRAIN),
        Arm("other-updated", "the other, updated", _TUNED),
        Arm("updated", "the shipped one, updated"),
    ),
    measures=_QUALITY,
    expectations=(
        Expectation(Cell("other-frozen", "4-shot"), Cell("other-updated", "4-shot")),
        Expectation(Cell("updated", "questions"), Cell("other-updated", "questions"), "equal"),
    ),
    note="The other language model is the shipped one tuned on text-only exchanges, as Vicuna is Llama 2 "
    "tuned.",
)

ALIGNMENT = Study(
    name="alignment",
    title="Deep embedding alignment",
    section="VILA section 3.1, Figure 3",
    finding="Updating the language model aligns image and text embeddings in deeper layers too, a linear "
    "projector more so, and 4-shot accuracy rises with that.",
    arms=(
        Arm("frozen-pretrain", "frozen in pretraining (b)", FROZEN_PRETRAIN),
        Arm("updated", "updated (c)"),
        Arm("linear", "updated, linear projector (d)", _LINEAR),
    ),
    measures={f"alignment/cosine, layer {n}": f"cosine, layer {n}" for n in range(6)}
    | {f"alignment/chamfer, layer {n}": f"Chamfer, layer {n}" for n in range(6)}
    | {"4-shot": "4-shot"},
    expectations=(
        Expectation(Cell("frozen-pretrain", DEEP), Cell("updated", DEEP)),
        Expectation(Cell("updated", DEEP), Cell("linear", DEEP)),
        Expectation(Cell("frozen-pretrain", "4-shot"), Cell("updated", "4-shot")),
        Expectation(Cell("updated", "4-shot"), Cell("linear", "4-shot")),
    ),
    note="The deep layer is the last but one of five; layer 0 is what goes into the first.",
)

LANGUAGE_STUDIES = (FREEZE, ALIGNMENT, LORA, VISUAL_EXPERT, ANOTHER_LLM)
