"""Pre-flight: everything that can be wrong with a run is looked at before its first work.

Sources are opened and give their first sample, the model's parts are found and their processor built,
one sample of every stage is encoded as the model will see it, and the memory a stage needs is estimated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vila2.data.sample import Sample
from vila2.errors import RecipeError

if TYPE_CHECKING:
    from vila2.run.recipe import DatasetSpec, Recipe


def preflight(recipe: Recipe, *, show: bool) -> dict[str, Any]:
    """Checks a recipe against what is on this machine.

    Args:
        recipe: already valid in itself.
        show: also build what a dry run prints (encoded samples, memory).

    Returns:
        ``samples``: one encoded sample by stage; ``memory``: bytes by stage. Empty unless ``show``.

    Raises:
        Vila2Error: naming the dataset, the file or the part that is missing.
    """
    first = {name: first_sample(name, spec) for name, spec in recipe.data.items()}
    if not show:
        return {}
    from vila2.train.estimate import estimate_memory

    return {"samples": encoded_samples(recipe, first), "memory": estimate_memory(recipe)}


def first_sample(name: str, spec: DatasetSpec) -> Sample:
    """The first usable sample of a dataset.

    Raises:
        RecipeError: the source gives none.
    """
    from vila2.data.shards import ShardDataset
    from vila2.sources import open_source

    if spec.source == "shards":
        dataset = ShardDataset.open(spec.path)
        if len(dataset):
            return dataset[0]
    else:
        options = {**spec.options, "count": min(20, spec.options.get("count") or 20)}
        for row in open_source(spec.source, path=spec.path, **options):
            if isinstance(row, Sample):
                return row
    raise RecipeError(
        f"dataset {name!r} gives no usable sample", mend=f"look at data.{name}, or try `vila2 data import` on it"
    )


def encoded_samples(recipe: Recipe, first: dict[str, Sample]) -> dict[str, dict[str, Any]]:
    """For every stage, its first dataset's first sample in tokens: text, and what the loss counts."""
    from vila2.model.assemble import load_processor
    from vila2.model.conversation import IGNORED, ConversationEncoder

    processor = load_processor(recipe.model)
    shown = {}
    for name, stage in recipe.stages.items():
        encoder = ConversationEncoder(processor, max_length=stage.max_length)
        encoded = encoder.encode(first[stage.mixture[0].dataset], stage.style)
        decode = processor.tokenizer.decode
        trained = [token for token, label in zip(encoded.input_ids, encoded.labels, strict=True) if label != IGNORED]
        shown[name] = {
            "dataset": stage.mixture[0].dataset,
            "tokens": len(encoded.input_ids),
            "trained_tokens": len(trained),
            "text": decode(encoded.input_ids),
            "trained_text": decode(trained),
        }
    return shown
