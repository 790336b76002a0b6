"""Grounded narration specialist for vila2 (VILA² section 2.2.1)."""

from __future__ import annotations

from vila2.plugin import MergePolicy, Specialist, hookimpl

__version__ = "0.1.0"

#: Asked of every image in the specialist augmentation (paper A.1), and in training.
PROMPTS = (
    "Elaborate on the visual and narrative elements in the image, and specify their location with "
    "[xmin,ymin,xmax,ymax].",
)
#: In merged conversations: other words than those the text was generated with.
QUESTIONS = (
    "Describe the image and give the box of each thing that you mention.",
    "What does this picture show, and where? Write [xmin,ymin,xmax,ymax] after every thing.",
    "Give a grounded description of this image.",
    "Explain what can be seen in the image, with bounding boxes.",
)


@hookimpl
def vila2_specialists() -> list[Specialist]:
    """The one specialist of this package."""
    return [
        Specialist(
            name="grounding",
            summary="Captions that say where each thing is, and boxes of things that are named",
            reads="captions with boxes: GRIT (zzliang/GRIT on the hub, as Parquet or the tars of "
            "img2dataset), or boxes with names: "
            "COCO JSON (cocodataset.org, instances_*.json), a Pascal VOC folder, rows of images and boxes",
            builder="vila2_grounding.builder:GroundingBuilder",
            config="vila2_grounding.builder:GroundingConfig",
            recipe="vila2_grounding/recipe.yaml",
            prompts=PROMPTS,
            questions=QUESTIONS,
            parser="vila2_grounding.parser:parse",
            metrics="vila2_grounding.metrics:score",
            verifier="vila2_grounding.verifier:verify",
            coordinates="tokens",
            merge=MergePolicy(priority=20, exchanges=1),
            licence="of the data that it is trained on: GRIT's annotations MS-PL, its images their owners'",
        )
    ]
