"""The choice of texts to compare, by hash, and of checks with another image's caption."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

from vila2.data.chance import drawn
from vila2.data.layers import ReadLayer
from vila2.data.shards import ShardDataset
from vila2.errors import DataError

#: Stands in for the layer of a text that was moved here from another image; no layer can have this name.
MOVED = "another image's"
_FEWEST_CHECKS, _MOST_CHECKS = 20, 200


@dataclass(frozen=True, slots=True)
class Pair:
    """Two texts about one image.

    Attributes:
        key: key of the sample.
        layers: layers of the first and of the second text; the second may be :data:`MOVED`.
        texts: first and second text.
    """

    key: str
    layers: tuple[str, str]
    texts: tuple[str, str]

    @property
    def id(self) -> str:
        """Name of the pair in the votes' journal."""
        return "|".join((*self.layers, self.key))

    @property
    def identical(self) -> bool:
        """Whether there is nothing to choose between."""
        return self.texts[0].split() == self.texts[1].split()


@dataclass(slots=True)
class Chosen:
    """The comparisons that were chosen.

    Attributes:
        pairs: pairs in the order of the hash.
        images: number of images that were looked at.
        left_out: number of texts that could not be compared, by layer and reason, e.g. "self-1: refusal".
    """

    pairs: list[Pair] = field(default_factory=list)
    images: int = 0
    left_out: Counter[str] = field(default_factory=Counter)


def place(seed: int, *names: str) -> int:
    """Draws a number in 0..2**64-1 that depends only on the seed and the names."""
    return drawn(seed, *names)


def choose_pairs(dataset: ShardDataset, layers: Mapping[str, ReadLayer], *, count: int, seed: int) -> Chosen:
    """Chooses comparisons: first one pair of layers for each image, then a second one for each, and so on.

    Many images with few comparisons each tell more than few images with many. Images come in the order of
    hash(seed, key), and so do the pairs of layers within an image. A larger ``count`` begins with the same
    pairs.

    Args:
        dataset: dataset with the images.
        layers: layers by name, two or more; pairs keep their order.
        count: largest number of comparisons.
        seed: seed of the choice.

    Raises:
        DataError: there are fewer than two layers, or no image has usable text in two of them.
    """
    if len(layers) < 2:
        raise DataError("a judge needs two layers or more", hint="--layers original,self-1")
    keys = sorted(dataset.keys(), key=lambda key: place(seed, "judge", key))
    chosen, texts = Chosen(), dict[str, dict[str, str]]()
    for turn in range(len(layers) * (len(layers) - 1) // 2):
        for key in keys:
            if len(chosen.pairs) >= count:
                return chosen
            if turn == 0:
                texts[key] = _usable(dataset, layers, key, chosen)
            pairs = sorted(combinations(texts[key], 2), key=lambda two: place(seed, "layers", key, *two))
            if turn < len(pairs):
                first, second = pairs[turn]
                chosen.pairs.append(Pair(key, pairs[turn], (texts[key][first], texts[key][second])))
    if not chosen.pairs:
        reasons = ", ".join(f"{reason} {number}" for reason, number in chosen.left_out.items())
        raise DataError(
            f"{dataset.folder}: no image has usable text in two of the layers {', '.join(layers)} "
            f"({reasons})",
            hint="name layers about the same images",
        )
    return chosen


def check_count(pairs: int) -> int:
    """Computes the number of checks for a number of comparisons: a tenth, at least 20 and at most 200."""
    return min(_MOST_CHECKS, max(_FEWEST_CHECKS, pairs // 10))


def choose_checks(dataset: ShardDataset, name: str, layer: ReadLayer, *, count: int, seed: int) -> list[Pair]:
    """Chooses comparisons whose right answer is known: an image's own text against another image's.

    Args:
        dataset: dataset with the images.
        name: name of the layer with the texts.
        layer: the layer.
        count: largest number of checks.
        seed: seed of the choice.

    Raises:
        DataError: there are fewer than two different usable texts.
    """
    keys = sorted(dataset.keys(), key=lambda key: place(seed, "check", key))
    ignored = Chosen()
    found: list[tuple[str, str]] = []
    for key in keys:
        if text := _usable(dataset, {name: layer}, key, ignored).get(name):
            found.append((key, text))
        if len(found) >= max(count, 2) and len({text for _, text in found}) > 1:
            break
    if not found:
        raise DataError(f"layer {name} has no usable text", hint="leave --check out")
    return [
        Pair(key, (name, MOVED), (text, _another(found, number, name)))
        for number, (key, text) in enumerate(found[:count])
    ]


def _another(found: Sequence[tuple[str, str]], number: int, name: str) -> str:
    """The next text that is not the same; after the last comes the first."""
    own = found[number][1].split()
    for _, text in (*found[number + 1 :], *found[:number]):
        if text.split() != own:
            return text
    raise DataError(f"layer {name} does not have two different texts", hint="leave --check out")


def _usable(
    dataset: ShardDataset, layers: Mapping[str, ReadLayer], key: str, chosen: Chosen
) -> dict[str, str]:
    """The usable text of each layer about an image, by layer; ``chosen`` counts those that are left out."""
    chosen.images += 1
    if not dataset[dataset.find(key)].images:
        chosen.left_out["no image"] += 1
        return {}
    texts = {}
    for name, layer in layers.items():
        rows = layer.get(key)
        usable = [row.text.strip() for row in rows if row.status == "ok" and row.text.strip()]
        if usable:
            texts[name] = "\n".join(usable)
        else:
            chosen.left_out[f"{name}: {rows[0].status if rows else 'nothing said'}"] += 1
    return texts
