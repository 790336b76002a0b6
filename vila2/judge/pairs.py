"""Which texts are compared: images and pairs of layers by hash, and the check with another image's caption."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

from vila2.data.chance import drawn
from vila2.data.layers import ReadLayer
from vila2.data.shards import ShardDataset
from vila2.errors import DataError

#: Stands for a layer where a text was moved here from another image; no layer can have this name.
MOVED = "another image's"
_FEWEST_CHECKS, _MOST_CHECKS = 20, 200


@dataclass(frozen=True, slots=True)
class Pair:
    """Two texts about one image.

    Attributes:
        key: of the sample.
        layers: who wrote the first and the second text; the second may be :data:`MOVED`.
        texts: the first and the second text.
    """

    key: str
    layers: tuple[str, str]
    texts: tuple[str, str]

    @property
    def id(self) -> str:
        """Names the pair in the votes' journal."""
        return "|".join((*self.layers, self.key))

    @property
    def identical(self) -> bool:
        """Whether there is nothing to choose between."""
        return self.texts[0].split() == self.texts[1].split()


@dataclass(slots=True)
class Chosen:
    """What is compared.

    Attributes:
        pairs: in the order of the hash.
        images: how many were looked at.
        left_out: reasons why an image could not be compared in a layer, e.g. "self-1: refusal", counted.
    """

    pairs: list[Pair] = field(default_factory=list)
    images: int = 0
    left_out: Counter[str] = field(default_factory=Counter)


def place(seed: int, *names: str) -> int:
    """A number in 0..2**64-1 that depends on the seed and the names alone."""
    return drawn(seed, *names)


def choose_pairs(dataset: ShardDataset, layers: Mapping[str, ReadLayer], *, count: int, seed: int) -> Chosen:
    """The comparisons: first one pair of layers of each image, then a second one of each, and so on.

    Images come in the order of hash(seed, key), and so do the pairs of layers within an image: many images
    with few comparisons each tell more than the reverse. A larger ``count`` begins with the same pairs.

    Args:
        dataset: whose images.
        layers: two or more, by name; pairs keep their order.
        count: the most comparisons.
        seed: of the choice.

    Raises:
        DataError: fewer than two layers, or no image that two of them describe usably.
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
            f"{dataset.folder}: no image has usable text in two of the layers {', '.join(layers)} ({reasons})",
            hint="name layers about the same images",
        )
    return chosen


def check_count(pairs: int) -> int:
    """How many checks go with so many comparisons: a tenth, at least 20 and at most 200."""
    return min(_MOST_CHECKS, max(_FEWEST_CHECKS, pairs // 10))


def choose_checks(dataset: ShardDataset, name: str, layer: ReadLayer, *, count: int, seed: int) -> list[Pair]:
    """Comparisons whose right answer is known: an image's own text against one moved there from another image.

    Args:
        dataset: whose images.
        name, layer: whose texts.
        count: the most checks.
        seed: of the choice.

    Raises:
        DataError: fewer than two different usable texts.
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
    """The next other text in the circle."""
    own = found[number][1].split()
    for _, text in (*found[number + 1 :], *found[:number]):
        if text.split() != own:
            return text
    raise DataError(f"layer {name} does not have two different texts", hint="leave --check out")


def _usable(
    dataset: ShardDataset, layers: Mapping[str, ReadLayer], key: str, chosen: Chosen
) -> dict[str, str]:
    """The text of each layer that has a usable one about an image; what is left out is counted."""
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
