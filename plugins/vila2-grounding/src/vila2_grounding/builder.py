"""The builder. It filters grounded captions as the paper does and makes exchanges of them.

A sample holds all exchanges about one image, each on a branch of its own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field
from vila2.plugin import BuilderConfig, ImagePart, Reject, Sample, Turn, assistant, python_generator, user

from vila2_grounding import readers
from vila2_grounding.asking import Boxes, boxes_of, describe_regions, narrate, refer
from vila2_grounding.filters import LARGEST, MOST, filtered
from vila2_grounding.grounded import Grounded
from vila2_grounding.readers.resizing import Resized

Count = Annotated[int, Field(ge=0)]


class GroundingConfig(BuilderConfig):
    """Settings of the builder, besides ``data`` and ``seed``.

    Attributes:
        images: Folder of the images, where they do not lie beside the rows; the same as ``image_root``.
        resized: Treatment of images that img2dataset gave another shape. "reject" drops them. "border" moves
            the boxes, for images with the border of img2dataset's default mode. "keep" leaves the boxes as
            they are.
        largest_box: Largest share of the image that a box may cover. The builder drops a larger box (the
            paper's first filter).
        most_of_a_category: Largest number of instances of a category in one image. The builder rejects an
            image with more (the paper's second filter).
        spans: Kind of phrase that has boxes in narrations. GRIT's "noun_chunks" end at the noun. Its
            "ref_exps" ("a dog on the grass") may nest.
        split: Whether samples go into the subsets "short" and "long". Without it all samples are "grounded".
        long_words, long_boxes: Smallest numbers of words and of boxes of a "long" sample. The paper gives the
            sizes of the two subsets (3M short, 838K long), but not the rule.
        narrations: Whether the builder asks for the narration.
        referring, regions: Largest numbers of referring and of region questions about one image.
    """

    images: Path | None = None
    resized: Resized = "reject"
    largest_box: Annotated[float, Field(gt=0, le=1)] = LARGEST
    most_of_a_category: Annotated[int, Field(ge=1)] = MOST
    spans: Literal["noun_chunks", "ref_exps"] = "noun_chunks"
    split: bool = False
    long_words: Count = 15
    long_boxes: Count = 1
    narrations: bool = True
    referring: Count = 2
    regions: Count = 1


class GroundingBuilder:
    """Maker of narrations, referring questions and region questions.

    It reads any data that :mod:`vila2_grounding.readers` knows. A sample's ``meta`` holds what the answers
    rest on: the original caption, and its phrases with their spans, boxes and categories.
    """

    version: ClassVar[int] = 5
    subsets: ClassVar[tuple[str, ...]] = ("grounded", "short", "long")

    def __init__(self, config: GroundingConfig) -> None:
        self.config = config

    def shards(self) -> Sequence[str]:
        """Names of the files that can be read one by one, or "all"."""
        return readers.pieces(self.config.data)

    def build(self, shard: str) -> Iterator[Sample | Reject]:
        """Samples of one piece, and a ``Reject`` for every box and every image that the filters drop."""
        scattered = self._scattered_boxes(shard)
        captions: list[Grounded] = []  # of one image, which follow each other
        for item in self._filtered(shard):
            if isinstance(item, Reject):
                yield item
            elif (image := _image_of(item)) in scattered:
                yield self.ask(item, scattered[image])
            else:
                if captions and _image_of(captions[0]) != image:
                    yield from self._ask_all(captions)
                    captions = []
                captions.append(item)
        yield from self._ask_all(captions)

    def _filtered(self, shard: str) -> Iterator[Grounded | Reject]:
        config = self.config
        images = config.images or config.image_root
        for item in readers.read(config.data, shard, images=images, resized=config.resized, seed=config.seed):
            if isinstance(item, Reject):
                yield item
                continue
            left, refused = filtered(item, largest=config.largest_box, most=config.most_of_a_category)
            yield from refused
            if left is not None:
                yield left

    def _scattered_boxes(self, shard: str) -> dict[str, Boxes]:
        """The boxes of each phrase for images whose captions do not follow each other in a file of rows.

        Such a file is read twice; its images need not fit into memory.
        """
        names = readers.scattered(self.config.data, shard)
        found: defaultdict[str, list[Grounded]] = defaultdict(list)
        for item in self._filtered(shard) if names else ():
            if isinstance(item, Grounded) and _image_of(item) in names:
                found[_image_of(item)].append(replace(item, image=b""))
        return {image: boxes_of(captions) for image, captions in found.items()}

    def _ask_all(self, captions: Sequence[Grounded]) -> Iterator[Sample | Reject]:
        boxes = boxes_of(captions)
        return (self.ask(grounded, boxes) for grounded in captions)

    def ask(self, grounded: Grounded, boxes: Boxes) -> Sample | Reject:
        """A sample with the exchanges about one caption, or a ``Reject`` where there are none.

        Args:
            grounded: the caption.
            boxes: boxes of each phrase in all captions of the image, so that no two contradict each other.
        """
        config = self.config
        draw = python_generator(config.seed, grounded.key)
        phrases, expressions = grounded.phrases, grounded.expressions
        spans = (phrases or expressions) if config.spans == "noun_chunks" else (expressions or phrases)
        exchanges = [*narrate(grounded, spans, draw)] if config.narrations else []
        exchanges += refer(grounded, boxes, config.referring, draw)
        exchanges += describe_regions(grounded, config.regions, draw)
        if not exchanges:
            where = str(grounded.meta.get("image", grounded.key))
            return Reject(where, grounded.key, "no-question", "no phrase means exactly one box")
        turns: list[Turn] = [user(ImagePart())]
        for branch, (_, question, answer) in enumerate(exchanges, start=1):
            turns += [user(*question, branch=branch), assistant(*answer, branch=branch)]
        meta = {
            **grounded.meta,
            "subset": self.subset(grounded),
            "kinds": [kind for kind, *_ in exchanges],
            "caption": grounded.caption,
            "phrases": [asdict(phrase) for phrase in spans],
        }
        return Sample(grounded.key, (grounded.image,), tuple(turns), meta)

    def subset(self, grounded: Grounded) -> str:
        """The subset that a caption belongs to."""
        if not self.config.split:
            return "grounded"
        words = len(grounded.caption.split())
        boxes = len({box for phrase in grounded.instances for box in phrase.boxes})
        return "long" if words >= self.config.long_words and boxes >= self.config.long_boxes else "short"


def _image_of(grounded: Grounded) -> str:
    return str(grounded.meta.get("image", grounded.key))
