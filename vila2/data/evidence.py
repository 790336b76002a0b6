"""Evidence: what is known to be true of an image, in one form for every dataset and every specialist.

Evidence travels with a sample in ``sample.meta["evidence"]``. Builders make questions from it, and verifiers
check claims against it. A builder reads it, and a source writes it, like this::

    evidence = Evidence.of(sample)  # None where the sample carries none

    dog = SceneObject(label="dog", box=(0.1, 0.2, 0.5, 0.9))
    Sample(key, images, turns, meta=Evidence(objects=(dog,)).to_meta())

Boxes and points are in unit coordinates of the original image: x grows from 0 at the left edge to 1 at the
right, y from 0 at the top to 1 at the bottom. Space is in meters in the camera frame: +x right, +y down, +z
forward. What is not known is left at its default.
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
        K: intrinsic matrix in pixels, 3 x 3, by rows.
        width: width in pixels of the image that ``K`` belongs to.
        height: height in pixels of the image that ``K`` belongs to.
    """

    K: tuple[Vector, Vector, Vector]
    width: float = Field(gt=0)
    height: float = Field(gt=0)


class Box3D(_Known):
    """A box in space.

    Attributes:
        centre: center of the box in the camera frame, in meters.
        dimensions: width, height and length in meters. The box's own axes are x = length, y = height, z =
            width, as in Omni3D.
        rotation: rotation matrix from the box's own axes to the camera frame, 3 x 3, by rows.
    """

    centre: Vector
    dimensions: Vector
    rotation: tuple[Vector, Vector, Vector]


class SceneObject(_Known):
    """One thing in an image.

    Attributes:
        label: category of the thing, in lower case ("car").
        name: phrase that names the thing in a sentence ("red car"); None stands for the label.
        box: box around the visible part, unit xyxy; None where only the solid is known.
        solid: box of the thing in space; None where unknown.
        truncation: share of the thing that lies outside of the image, 0..1; None where unknown.
        visibility: share of the thing that is not hidden by others, 0..1; None where unknown.
        certainty: confidence in the label, 0..1: 1 for a person's label, a detector's score otherwise.
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
        """The phrase that names the thing: ``name``, or else ``label``."""
        return self.name or self.label


class WrittenText(_Known):
    """A text that is written in an image.

    Attributes:
        text: the text, as it is written.
        outline: corners of the text's outline, four or more, clockwise from its top left, unit xy; empty
            where unknown.
        kind: kind of text ("word", "line", "title", "cell", ...); "" where unknown.
        on: phrase that names the thing it is written on ("red cube"); "" where unknown.
    """

    text: str
    outline: tuple[Point, ...] = ()
    kind: str = ""
    on: str = ""


class Evidence(_Known):
    """Everything that is known of one image.

    Attributes:
        objects: the known things.
        all_objects: whether ``objects`` lists every thing that has a label in ``labels``. Only then do they
            tell how many there are, and what is absent.
        labels: labels that were looked for; empty where unknown.
        texts: the written texts, in reading order.
        all_texts: whether ``texts`` lists every text in the image.
        fields: values of a document by the name of the field, such as {"total": "9.00"}.
        camera: camera that took the image; None where unknown.
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
        """Reads the evidence that a sample carries.

        Returns:
            The evidence, or None where the sample carries none.

        Raises:
            DataError: the evidence has another form; the error names the sample and the field.
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
        """Gives the entry for ``Sample.meta`` as JSON values, without fields that are at their default."""
        return {EVIDENCE_KEY: self.model_dump(mode="json", exclude_defaults=True)}
