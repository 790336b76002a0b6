"""Spatial relations specialist for vila2 (VILA² section 2.2.1)."""

from __future__ import annotations

from vila2.plugin import MergePolicy, Specialist, hookimpl

__version__ = "0.1.0"

#: Questions about every image in the specialist augmentation, used evenly (paper 2.2.1; A.1 gives the first).
PROMPTS = (
    "Elaborate on the visual and narrative elements of the image in detail, "
    "with a focus on spatial relations.",
    "Can you explain the content of the image and their spatial relations in detail?",
)
#: Questions in merged conversations. Their words differ from those that the text was generated with.
QUESTIONS = (
    "Describe where the things in the image are in relation to each other.",
    "How are the objects in this image arranged in space?",
    "What is where in this picture? Describe the positions of the objects.",
    "Describe the image, and say what is left, right, in front of and behind what.",
    "Explain the spatial layout of the scene.",
)


@hookimpl
def vila2_specialists() -> list[Specialist]:
    """The only specialist of this package."""
    return [
        Specialist(
            name="spatial",
            summary="Spatial relations, learnt from questions that 3D boxes answer",
            reads="images with 3D boxes and the camera: Omni3D JSON (github.com/facebookresearch/omni3d), "
            "KITTI, nuScenes, SUN RGB-D, "
            "ARKitScenes, Hypersim, Objectron as they are downloaded, or rows {image, K, boxes}",
            builder="vila2_spatial.builder:SpatialBuilder",
            config="vila2_spatial.builder:SpatialConfig",
            recipe="vila2_spatial/recipe.yaml",
            prompts=PROMPTS,
            questions=QUESTIONS,
            parser="vila2_spatial.parser:parse",
            metrics="vila2_spatial.metrics:score",
            verifier="vila2_spatial.verifier:verify",
            merge=MergePolicy(priority=10),
            licence="of the 3D data that it is trained on: KITTI CC BY-NC-SA 3.0, nuScenes CC BY-NC-SA 4.0, "
            "SUN RGB-D research, ARKitScenes CC BY-NC-SA 4.0, Hypersim CC BY-SA 3.0, Objectron C-UDA 1.0",
        )
    ]
