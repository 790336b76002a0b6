"""Merges for tests: the settings they share, hand-made layers, and what became of them."""

from tests.merge.merge_layers import grounded, reads, said, write_layer
from vila2.data.layers import Layer, original_layer
from vila2.merge.fates import read_fates
from vila2.merge.merging import merge_layers
from vila2.recipe.parts.specialists import MergeSpec

ALL = ("objects", "texts", "repeats")
LEFT, RIGHT = (0.1, 0.4, 0.3, 0.6), (0.7, 0.4, 0.9, 0.6)


CAPTION = (
    "There is a red cube. It is large. The red cube is left of the blue ball. "
    "The red cube is right of the blue ball. "
    'The sign on the red cube says "fox". The red cube says "dog". There are two cubes. '
    "A green ball is there. It shines. The weather is fine."
)


def merged(dataset, layers, folder, seed=0, engine=None, progress=None, **settings) -> Layer:
    settings = {"base": "self-1" if "self-1" in layers else None, "absence": ALL} | settings
    return merge_layers(
        dataset,
        layers,
        folder=folder,
        spec=MergeSpec(**settings),
        seed=seed,
        engine=engine,
        progress=progress,
    )


def everywhere(dataset, make) -> list:
    """The same about every image, so that the specialist is known to find such things."""
    return [make(key) for key in dataset.keys()]  # noqa: SIM118 - no dict


def fates(folder, source):
    return [one for one in read_fates(folder) if one.source == source and one.sentence >= 0]


def captions(layer, source="self-1"):
    """What is left of one source's caption, by key."""
    return {
        row.key: " ".join(turn.text for turn in row.turns if turn.source == source)
        for row in layer.rows()
        if row.status == "ok" and not row.prompt
    }


def hand_made(dataset, **more):
    found = {
        "self-1": everywhere(dataset, lambda key: said(key, CAPTION)),
        "boxes": everywhere(dataset, lambda key: grounded(key, [("red cube", LEFT), ("blue ball", RIGHT)])),
        "words": everywhere(dataset, lambda key: reads(key, [("fox", "red cube")])),
    } | more
    layers = {name: write_layer(dataset, name, rows) for name, rows in found.items()}
    return {"original": original_layer(dataset)} | layers


class Killed(Exception):
    pass


def files(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
