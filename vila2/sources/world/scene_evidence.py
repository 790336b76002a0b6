"""The truth of a scene as evidence: the form in which any specialist's builder and verifier reads it."""

import math

from vila2.data.evidence import Box3D, Camera, Evidence, SceneObject, WrittenText
from vila2.sources.world.scene import Scene, WorldObject, sign_box
from vila2.sources.world.vocabulary import SHAPES


def scene_evidence(scene: Scene) -> Evidence:
    """Everything that stands in the scene: solids with their boxes, every sign, the camera; nothing is left out."""
    return Evidence(
        objects=tuple(_object(thing) for thing in scene.objects),
        all_objects=True,
        labels=SHAPES,
        texts=tuple(_text(scene, thing) for thing in scene.objects if thing.word is not None),
        all_texts=True,
        camera=Camera(K=scene.K, width=scene.size, height=scene.size),
    )


def _object(thing: WorldObject) -> SceneObject:
    cos, sin = math.cos(thing.yaw), math.sin(thing.yaw)
    solid = Box3D(
        centre=thing.centre,
        dimensions=thing.dimensions,
        # Evidence has the length along the object's own X, the world along its Z: a quarter turn more.
        rotation=((sin, 0.0, -cos), (0.0, 1.0, 0.0), (cos, 0.0, sin)),
    )
    return SceneObject(
        label=thing.shape, name=thing.name, box=thing.box, solid=solid, visibility=thing.visibility
    )


def _text(scene: Scene, thing: WorldObject) -> WrittenText:
    x0, y0, x1, y1 = (side / scene.size for side in sign_box(thing))
    outline = ((x0, y0), (x1, y0), (x1, y1), (x0, y1))
    return WrittenText(text=str(thing.word), outline=outline, kind="word", on=thing.name)
