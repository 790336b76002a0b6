"""Makes evidence of a scene's truth, the form that builders and verifiers of specialists read."""

import math

from vila2.data.evidence import Box3D, Camera, Evidence, SceneObject, WrittenText
from vila2.sources.world.scene import Scene, WorldObject, sign_box
from vila2.sources.world.vocabulary import SHAPES


def scene_evidence(scene: Scene) -> Evidence:
    """Makes complete evidence of a scene: all solids with their boxes, all signs, and the camera."""
    signs = [(thing, place) for thing in scene.objects if (place := sign_box(thing)) is not None]
    return Evidence(
        objects=tuple(_object(thing) for thing in scene.objects),
        all_objects=True,
        labels=SHAPES,
        texts=tuple(_text(scene, thing, place) for thing, place in signs),
        all_texts=True,
        camera=Camera(K=scene.K, width=scene.size, height=scene.size),
    )


def _object(thing: WorldObject) -> SceneObject:
    cos, sin = math.cos(thing.yaw), math.sin(thing.yaw)
    solid = Box3D(
        centre=thing.centre,
        dimensions=thing.dimensions,
        # The length lies along the object's X axis in evidence, along its Z axis here: a quarter turn more.
        rotation=((sin, 0.0, -cos), (0.0, 1.0, 0.0), (cos, 0.0, sin)),
    )
    return SceneObject(
        label=thing.shape, name=thing.name, box=thing.box, solid=solid, visibility=thing.visibility
    )


def _text(scene: Scene, thing: WorldObject, place: tuple[int, int, int, int]) -> WrittenText:
    x0, y0, x1, y1 = (side / scene.size for side in place)
    outline = ((x0, y0), (x1, y0), (x1, y1), (x0, y1))
    return WrittenText(text=str(thing.word), outline=outline, kind="word", on=thing.name)
