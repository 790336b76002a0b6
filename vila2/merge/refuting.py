"""Counts the sentences of captions that the specialists refute, to choose among captions of one image."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from vila2.claims.names import Vocabulary
from vila2.data.annotations import Annotation
from vila2.data.layers import Layer, ReadLayer, original_layer
from vila2.data.shards import ShardDataset
from vila2.merge.hearing import hear
from vila2.merge.sources import open_sources
from vila2.merge.weighing import weigh

_CAPTION = "caption"


class Refuter:
    """Judges captions by the layers of specialists, as a merge does.

    Args:
        dataset: dataset of the images.
        layers: layers of specialists, by name.
        absence: see :attr:`vila2.recipe.parts.specialists.MergeSpec.absence`.

    Raises:
        PluginError: a specialist's plugin is not installed.
    """

    def __init__(self, dataset: ShardDataset, layers: Mapping[str, Layer], absence: Collection[str]) -> None:
        self._layers = layers
        self._absence = absence
        nothing: dict[str, ReadLayer] = {
            "original": original_layer(dataset),
            _CAPTION: original_layer(dataset),
        }
        self._sources = open_sources(nothing | dict(layers), _CAPTION)
        self._vocabulary = Vocabulary.of(name for one in self._sources for name in one.names)

    def count(self, key: str, texts: Sequence[str]) -> list[int]:
        """The number of refuted sentences in each of several captions of an image.

        Raises:
            PluginError: a verifier fails.
        """
        known = {name: layer.get(key) for name, layer in self._layers.items()}
        return [self._refuted(known, Annotation(key, "", text, "ok")) for text in texts]

    def _refuted(self, known: Mapping[str, Sequence[Annotation]], caption: Annotation) -> int:
        rows = {**known, _CAPTION: [caption]}
        heard = hear(self._sources, rows, self._vocabulary)
        weighed, _ = weigh(heard, self._sources, rows, absence=self._absence)
        spoken = [said for one in weighed if one.source.role == "base" for said in one.spoken]
        return sum(said.verdict == "contradicted" for said in spoken)
