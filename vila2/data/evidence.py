"""Evidence: what is known to be true of a sample's image, in one form for every dataset and every specialist.

It travels in ``sample.meta["evidence"]``. Builders make questions from it, verifiers check claims against it.
Boxes are unit xyxy of the original image; 3D is in metres in the camera frame: +x right, +y down, +z forward.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vila2.data.boxes import Box, Point
from vila2.data.sample import Sample
from vila2.errors import DataError

Vector = tuple[float, float, float]

EVIDENCE_KEY = "evidence"


class _Known(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Camera(_Known):
    """The camera that took an image.

    Attributes:
        K: intrinsics in pixels, 3 x 3.
        width, height: of the image in pixels that ``K`` belongs to.
    """

    K: tuple[Vector, Vector, Vector]
    width: float = Field(gt=0)
    height: float = Field(gt=0)


class Box3D(_Known):
    """A solid in space.

    Attributes:
        centre: of the box, metres, camera frame.
        dimensions: width, height, length in metres; the local axes are X = length, Y = height, Z = width (Omni3D).
        rotation: 3 x 3, object to camera.
    """

    centre: Vector
    dimensions: Vector
    rotation: tuple[Vector, Vector, Vector]


class SceneObject(_Known):
    """One thing in an image.

    Attributes:
        label: its category, in lower case.
        name: how to speak of it ("red car"); by default the label.
        box: its silhouette's box; None where only the solid is known.
        solid: its 3D box, where known.
        truncation, visibility: shares in 0..1, None where unknown.
        certainty: 1 for a person's label, a detector's score otherwise.
    """

    label: str = Field(min_length=1)
    name: str | None = None
    box: Box | None = None
    solid: Box3D | None = None
    truncation: float | None = None
    visibility: float | None = None
    certainty: float = 1.0

    @property
    def called(self) -> str:
        """``name``, or else ``label``."""
        return self.name or self.label


class WrittenText(_Known):
    """Text that stands in an image.

    Attributes:
        text: as it is written.
        outline: its corners, clockwise from the top left, unit xy; four or more.
        kind: what it is ("word", "line", "title", "cell", ...), "" where unknown.
        on: what it stands on ("red cube"), "" where unknown.
    """

    text: str
    outline: tuple[Point, ...] = ()
    kind: str = ""
    on: str = ""


class Evidence(_Known):
    """All that is known of one image.

    Attributes:
        objects: things; ``all_objects`` says whether every thing of the labels in ``labels`` is listed, so that
            absence and counts can be told.
        labels: the labels that were looked for; empty where unknown.
        texts: written texts, in reading order; ``all_texts`` says whether nothing else is written.
        fields: named values of a document, e.g. {"total": "9.00"}.
        camera: None where unknown.
    """

    objects: tuple[SceneObject, ...] = ()
    all_objects: bool = False
    labels: tuple[str, ...] = ()
    texts: tuple[WrittenText, ...] = ()
    all_texts: bool = False
    fields: Mapping[str, str] = Field(default_factory=dict)
    camera: Camera | None = None

    @classmethod
    def of(cls, sample: Sample) -> Evidence | None:
        """A sample's evidence, None where it carries none.

        Raises:
            DataError: evidence in another form, naming the sample and the field.
        """
        if EVIDENCE_KEY not in sample.meta:
            return None
        try:
            return cls.model_validate(sample.meta[EVIDENCE_KEY])
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise DataError(
                f"{sample.key}: evidence.{where}: {first['msg'].lower()}",
                hint="see vila2.data.evidence for the form",
            ) from error

    def to_meta(self) -> dict[str, Any]:
        """The entry for ``Sample.meta``: JSON values, what is at its default left out."""
        return {EVIDENCE_KEY: self.model_dump(mode="json", exclude_defaults=True)}
