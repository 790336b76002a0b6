"""Steps that choose among samples: pairs of captions, and the captions that specialists refute least."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from vila2.caption.preference_pairs import PairLength, PairRule, pair_of
from vila2.caption.several_samples import RankedBy, count_choices, ranked_again
from vila2.data.annotations import Annotation
from vila2.data.layers import Layer, write_layer
from vila2.data.shards import ShardDataset
from vila2.errors import RunError
from vila2.merge.refuting import Refuter
from vila2.progress import Progress
from vila2.recipe.parts.values import Part
from vila2.run.step_kinds import Inputs, step_kind


class PairSettings(Part):
    """Determines a layer of pairs, besides the samples and the specialists' layers.

    Attributes:
        layer: name of the layer to write.
        layers: names of the specialists' layers, in order.
        by, margin, length: see :class:`vila2.caption.preference_pairs.PairRule`.
        absence: kinds of claims that a specialist's silence refutes.
    """

    layer: str
    layers: tuple[str, ...]
    by: RankedBy
    margin: float
    length: PairLength
    absence: tuple[str, ...]


@step_kind("preference-pairs", PairSettings)
def pairs(folder: Path, settings: PairSettings, inputs: Inputs, progress: Progress) -> dict[str, Any]:
    """Chooses pairs of captions among samples; the step's folder is the layer.

    An image has two rows, the better caption and the worse one, with the status "rejected". Their ``detail``
    says why.

    Args:
        folder: folder of the step.
        settings: settings of the choice.
        inputs: ``data``, ``samples`` (layer with all samples of each image), and ``layer.NAME`` for each
            layer of a specialist.
        progress: display of the images.

    Raises:
        RunError: no image has a pair.
    """
    dataset, samples = ShardDataset.open(inputs["data"]), Layer.open(inputs["samples"])
    layers = {name: Layer.open(inputs[f"layer.{name}"]) for name in settings.layers}
    count, rule = _counter(dataset, settings, layers), PairRule(settings.by, settings.margin, settings.length)
    lacking: Counter[str] = Counter()

    def pair(key: str) -> Sequence[Annotation]:
        rows = samples.get(key)
        found = pair_of(rows, rule, count and (lambda texts: count(key, texts))) if rows else ()
        task.advance()
        if isinstance(found, str):
            lacking[found] += 1
            return ()
        return found

    with progress.task(f"choose {settings.layer}", len(dataset)) as task:
        layer = write_layer(
            dataset, pair, folder=folder, name=settings.layer, info=_made_of(settings, samples, layers)
        )
    if not layer.count:
        why = ", ".join(f"{number} {reason}" for reason, number in lacking.most_common())
        raise RunError(
            f"layer {settings.layer}: no image has a better and a worse caption ({why or 'no samples'})",
            hint="raise cycle.preference.samples or share, lower its margin, or set its length: free",
        )
    return {"captions": layer.count, "pairs": layer.count // 2, "without_pair": dict(lacking)}


class PickSettings(Part):
    """Determines a layer of chosen captions, besides the samples and the specialists' layers.

    Attributes:
        layer: name of the layer to write.
        layers: names of the specialists' layers, in order.
        by: what the samples are ranked by.
        absence: kinds of claims that a specialist's silence refutes.
    """

    layer: str
    layers: tuple[str, ...]
    by: RankedBy
    absence: tuple[str, ...]


@step_kind("pick-captions", PickSettings)
def pick(folder: Path, settings: PickSettings, inputs: Inputs, progress: Progress) -> dict[str, Any]:
    """Keeps the sample of each image of which the specialists refute least; inputs as in :func:`pairs`."""
    dataset, samples = ShardDataset.open(inputs["data"]), Layer.open(inputs["samples"])
    layers = {name: Layer.open(inputs[f"layer.{name}"]) for name in settings.layers}
    count = _counter(dataset, settings, layers)

    def best(key: str) -> Sequence[Annotation]:
        rows = samples.get(key)
        task.advance()
        if not rows:
            return ()
        return [ranked_again(rows, settings.by, count and (lambda texts: count(key, texts)))[0][0]]

    with progress.task(f"choose {settings.layer}", len(dataset)) as task:
        layer = write_layer(
            dataset, best, folder=folder, name=settings.layer, info=_made_of(settings, samples, layers)
        )
    choices = count_choices(layer.rows())
    return {
        "captions": layer.count,
        "status": dict(layer.statuses),
        **({"choices": choices.to_json()} if choices else {}),
    }


def _counter(
    dataset: ShardDataset, settings: PairSettings | PickSettings, layers: Mapping[str, Layer]
) -> Callable[[str, Sequence[str]], Sequence[int]] | None:
    """What counts refuted sentences; None where the specialists are not asked."""
    if settings.by == "agreement":
        return None
    return Refuter(dataset, layers, settings.absence).count


def _made_of(
    settings: PairSettings | PickSettings, samples: Layer, layers: Mapping[str, Layer]
) -> dict[str, Any]:
    return {
        "chosen": settings.model_dump(mode="json", exclude={"layer", "layers"}),
        "samples": {"layer": samples.name, "digest": samples.digest},
        "engine": samples.info.get("engine", ""),
        "layers": {name: layer.digest for name, layer in layers.items()},
    }
