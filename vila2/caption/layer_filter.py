"""A selection of a layer's annotations, as a layer of its own. Nothing is deleted.

Views, mixtures, merges and exports take the selection by its name, as they take any layer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field

from vila2.data.annotations import Annotation, text_digest
from vila2.data.layer_replacement import layer_to_write
from vila2.data.layers import Layer, ReadLayer, write_layer
from vila2.data.shards import ShardDataset
from vila2.errors import DataError

#: What a layer's making says of its annotations, which holds for a part of them as well.
_KEPT_FACTS = ("engine", "digest", "plugin", "tool", "prompts", "prompt_texts", "license")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which annotations are kept.

    Attributes:
        statuses: statuses of those that are kept.
        fewest_words, most_words: bounds of the number of words; None: no upper bound.
        most_images: number of images, at most, on which one text may stand; None: any number.
        unwanted: keys of samples that are left out, each with the reason.
    """

    statuses: tuple[str, ...] = ("ok",)
    fewest_words: int = 0
    most_words: int | None = None
    most_images: int | None = None
    unwanted: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Filtered:
    """A selection, and what was left out of it.

    Attributes:
        layer: the new layer.
        kept: number of annotations in it.
        left_out: number of annotations that are not, by reason.
    """

    layer: Layer
    kept: int
    left_out: dict[str, int]


def filter_layer(
    dataset: ShardDataset, layer: ReadLayer, wanted: Wanted, *, name: str, replace: bool = False
) -> Filtered:
    """Writes the wanted annotations of a layer as another layer beside it.

    Args:
        dataset: dataset of the images.
        layer: layer to choose from.
        wanted: which annotations are kept.
        name: name of the new layer.
        replace: whether an earlier layer of that name is replaced.

    Raises:
        DataError: there is a layer of that name, or nothing is kept.
    """
    folder = dataset.folder / "layers" / name
    if (folder / "layer.json").exists() and not replace:
        raise DataError(f"{folder}: there is such a layer", hint="give another --out, or --replace")
    images = _images_of_texts(layer.rows()) if wanted.most_images is not None else {}
    reasons = Counter(_reason(row, wanted, images) for row in layer.rows())
    kept = reasons.pop("", 0)
    left_out = dict(reasons.most_common())
    if not kept:
        raise DataError(
            f"layer {layer.name}: nothing is left of it; left out: {left_out}", hint="ask for less"
        )

    def chosen(key: str) -> list[Annotation]:
        return [row for row in layer.get(key) if not _reason(row, wanted, images)]

    facts = getattr(layer, "info", {})
    said = asdict(wanted) | {"unwanted": dict(Counter(wanted.unwanted.values()))}
    info = {key: facts[key] for key in _KEPT_FACTS if key in facts}
    info["filtered"] = {"layer": layer.name, "digest": layer.digest, "wanted": said}
    with layer_to_write(folder, replace=replace, afresh=not replace) as place:
        write_layer(dataset, chosen, folder=place, name=name, info=info)
    return Filtered(Layer.open(folder), kept, left_out)


def _images_of_texts(rows: Iterable[Annotation]) -> Counter[bytes]:
    """On how many images each usable text stands."""
    return Counter(digest for _, digest in {(row.key, text_digest(row.text)) for row in rows if row.text})


def _reason(row: Annotation, wanted: Wanted, images: Mapping[bytes, int]) -> str:
    """Why an annotation is left out; "" if it is kept."""
    if row.status not in wanted.statuses:
        return row.status
    if row.key in wanted.unwanted:
        return wanted.unwanted[row.key]
    words = len(row.text.split())
    if words < wanted.fewest_words:
        return "too short"
    if wanted.most_words is not None and words > wanted.most_words:
        return "too long"
    if wanted.most_images is not None and images.get(text_digest(row.text), 0) > wanted.most_images:
        return "repeated"
    return ""
