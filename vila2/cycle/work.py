"""The work of a run's steps: functions of a folder, settings and input folders.

A step may be killed at any moment and is called again with the same folder; each of these goes on
from what it finds there.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vila2.run.run_model import is_run, run_model

if TYPE_CHECKING:
    from vila2.data.layers import Layer
    from vila2.recipe.parts.data import DatasetSpec
    from vila2.recipe.recipe import Recipe
    from vila2.run.step_files import StepResult
    from vila2.run.steps import Run


def open_dataset(run: Run, name: str, spec: DatasetSpec) -> StepResult:
    """A named dataset of the recipe: imported once, or used where it lies (source ``shards``)."""
    if spec.source == "shards":
        return run.existing(f"data-{name}", Path(spec.path))
    inputs = {"file": spec.path} if spec.path else {}
    return run.step(
        f"data-{name}",
        import_dataset,
        settings={"name": name, **spec.model_dump(mode="json", exclude={"path"})},
        inputs=inputs,
    )


def import_dataset(
    folder: Path, settings: Mapping[str, Any], inputs: Mapping[str, Path], progress: Any
) -> dict[str, Any]:
    """Reads a source into shards in the step's folder."""
    from vila2.data.shards import write_dataset
    from vila2.sources import open_source

    options = dict(settings["options"])
    samples = open_source(settings["source"], path=inputs.get("file"), **options)
    with progress.task(f"import {settings['name']}", options.get("count")) as task:
        info = write_dataset(folder, samples, name=settings["name"], progress=task)
    return {"samples": info.count, "rejected": dict(info.rejected)}


def use_threads(count: int | None) -> None:
    """Limits torch to this many CPU threads."""
    if count is not None:
        import torch

        torch.set_num_threads(count)


def model_settings(recipe: Recipe) -> dict[str, Any]:
    """What the starting model is a function of."""
    return recipe.model.model_dump(mode="json") | {"seed": recipe.seed}


def model_inputs(recipe: Recipe) -> dict[str, Path]:
    """The model folders on this machine that the starting model is made of: their content counts, not their names."""
    named = {name: getattr(recipe.model, name) for name in ("vision", "language", "pretrained")}
    return {name: Path(named_model(path)) for name, path in named.items() if path and Path(path).exists()}


def named_model(name: str) -> str:
    """A model's name, of a run the folder of its model: what counts of a run as an input is that alone."""
    return str(run_model(Path(name))) if is_run(Path(name)) else name


def assemble(
    folder: Path, settings: Mapping[str, Any], inputs: Mapping[str, Path], progress: Any
) -> dict[str, Any]:
    """Puts the pretrained parts together with a fresh projector, or takes an existing VLM."""
    from vila2.model.assemble import assemble as assemble_parts
    from vila2.model.coordinates import set_coordinates
    from vila2.model.generalist import load_generalist
    from vila2.model.saving import save_model

    settings = dict(settings)
    pretrained, coordinates = settings.pop("pretrained"), settings.pop("coordinates")
    with progress.task("assemble the model", 1) as task:
        if pretrained:
            generalist = load_generalist(pretrained, dtype=settings["dtype"])
            model, processor = generalist.model, generalist.processor
        else:
            model, processor = assemble_parts(settings.pop("vision"), settings.pop("language"), **settings)
        if coordinates:
            set_coordinates(model, processor, coordinates)
        save_model(model, processor, folder / "model")
        task.advance()
    return {"parameters": sum(p.numel() for p in model.parameters())}


def train(
    folder: Path, settings: Mapping[str, Any], inputs: Mapping[str, Path], progress: Any
) -> dict[str, Any]:
    """Trains one stage, on several processes where ``settings`` say so, and tells the plugins that want to know.

    See :func:`vila2.train.stage.train_stage`.
    """
    from vila2.plugin.host import Host
    from vila2.train.processes import train_in_processes
    from vila2.train.stage import train_stage

    if settings.get("processes", 1) > 1:
        results = train_in_processes(settings["processes"], folder, settings, inputs, progress)
    else:
        results = train_stage(folder, settings, inputs, progress)
    Host().after_stage(settings["plugins"], folder=folder, stage=settings["name"], results=results)
    return results


def evaluate(
    folder: Path, settings: Mapping[str, Any], inputs: Mapping[str, Path], progress: Any
) -> dict[str, Any]:
    """Scores a model on the recipe's benchmarks; see :mod:`vila2.evaluate.benchmarks`."""
    from vila2.data.shards import ShardDataset
    from vila2.engine.registry import open_engine
    from vila2.evaluate.benchmarks import run_benchmarks
    from vila2.evaluate.measures.items import write_items

    if not settings["benchmarks"]:  # a model that cannot be asked can be trained all the same
        write_items(folder, {})
        return {"measures": []}
    datasets = {name.removeprefix("data."): path for name, path in inputs.items() if name.startswith("data.")}
    for path in datasets.values():
        ShardDataset.open(path)  # that it can be read is known before a model is loaded
    engine = open_engine("transformers", inputs["model"] / "model", dtype=settings["dtype"])
    return run_benchmarks(
        engine, settings["benchmarks"], datasets, folder, seed=settings["seed"], progress=progress
    )


def recaption(
    folder: Path, settings: Mapping[str, Any], inputs: Mapping[str, Path], progress: Any
) -> dict[str, Any]:
    """Lets a model write a layer about a dataset's images; the step's folder is the layer.

    ``inputs``: ``model``, a checkpoint's folder or a hub id; ``data``.
    """
    from vila2.caption.attempts import Attempts
    from vila2.caption.recaption import recaption as write_layer
    from vila2.claims.self_consistency import contradiction
    from vila2.data.mixtures import select_range
    from vila2.data.shards import ShardDataset
    from vila2.engine.protocol import GenerationSettings
    from vila2.engine.registry import open_engine
    from vila2.recipe.parts.cycle import part_of

    dataset = ShardDataset.open(inputs["data"])
    engine = open_engine(settings["engine"], inputs["model"], dtype=settings["dtype"])
    seed, part, attempts = settings["seed"], part_of(settings["share"]), None
    if settings["attempts"] > 1:
        attempts = Attempts(settings["attempts"], settings["attempt_temperature"], contradiction)
    layer = write_layer(
        dataset,
        engine,
        folder=folder,
        layer=settings["layer"],
        prompts=settings["prompts"],
        settings=GenerationSettings(
            max_new_tokens=settings["max_new_tokens"],
            temperature=settings["temperature"],
            repetition_penalty=settings["repetition_penalty"],
            seed=seed,
        ),
        seed=seed,
        batch_size=settings["batch_size"],
        select=lambda key: select_range(key, *part, seed),
        attempts=attempts,
        progress=progress,
    )
    bare = {name: layer.info[name] for name in ("without_image",) if name in layer.info}
    return {"captions": layer.count, "status": dict(layer.statuses), **bare}


def annotate(
    folder: Path, settings: Mapping[str, Any], inputs: Mapping[str, Path], progress: Any
) -> dict[str, Any]:
    """Lets a specialist write its layer; the step's folder is the layer. See :mod:`vila2.specialist.annotating`."""
    from vila2.data.mixtures import select_range
    from vila2.data.shards import ShardDataset
    from vila2.engine.registry import open_engine
    from vila2.specialist.annotating import annotate_dataset, summarise_layer
    from vila2.specialist.made import MadeSpecialist

    specialist = MadeSpecialist(settings["plugin"], inputs["model"], {"annotate": settings["annotate"]})
    layer = annotate_dataset(
        ShardDataset.open(inputs["data"]),
        open_engine("transformers", inputs["model"], dtype=settings["dtype"]),
        specialist,
        folder=folder,
        seed=settings["seed"],
        select=lambda key: select_range(key, *settings["select"], settings["seed"]),
        progress=progress,
    )
    return {name: value for name, value in summarise_layer(layer).items() if name != "layer"}


def shuffle(
    folder: Path, settings: Mapping[str, Any], inputs: Mapping[str, Path], progress: Any
) -> dict[str, Any]:
    """A layer's captions, each given to another image; see :mod:`vila2.caption.borrowed`."""
    from vila2.caption.borrowed import shuffle_layer
    from vila2.data.layers import Layer
    from vila2.data.shards import ShardDataset

    dataset, layer = ShardDataset.open(inputs["data"]), Layer.open(inputs["layer"])
    with progress.task(f"shuffle {layer.name}", 1) as task:
        made = shuffle_layer(dataset, layer, folder=folder, name=settings["layer"], seed=settings["seed"])
        return _made(made, task)


def text_layer(
    folder: Path, settings: Mapping[str, Any], inputs: Mapping[str, Path], progress: Any
) -> dict[str, Any]:
    """Another dataset's text as a layer, of a share of the images; see :mod:`vila2.caption.borrowed`."""
    from vila2.caption.borrowed import text_layer as write_layer
    from vila2.data.mixtures import select_range
    from vila2.data.shards import ShardDataset
    from vila2.recipe.parts.cycle import part_of

    dataset, texts = ShardDataset.open(inputs["data"]), ShardDataset.open(inputs["texts"])
    part, seed = part_of(settings.get("share", 1.0)), settings.get("seed", 0)
    with progress.task(f"take the text of {texts.name}", 1) as task:
        layer = write_layer(
            dataset,
            texts,
            folder=folder,
            name=settings["layer"],
            select=lambda key: select_range(key, *part, seed),
        )
        return _made(layer, task)


def _made(layer: Layer, task: Any) -> dict[str, Any]:
    task.advance()
    return {"captions": layer.count, "status": dict(layer.statuses)}


def merge(
    folder: Path, settings: Mapping[str, Any], inputs: Mapping[str, Path], progress: Any
) -> dict[str, Any]:
    """Merges layers of a dataset into one; the step's folder is the layer.

    ``settings`` are those of ``MergeSpec`` with ``layer`` (the name to write), ``layers`` (names in order, without
    the original), ``seed`` and ``dtype``; ``inputs`` are ``data``, ``layer.NAME`` for each and, with a model as the
    writer, ``model``.
    """
    from vila2.data.layers import Layer, original_layer
    from vila2.data.shards import ShardDataset
    from vila2.engine.registry import open_engine
    from vila2.merge.job import merge_layers
    from vila2.merge.tally import tally_merge
    from vila2.recipe.parts.specialists import MergeSpec

    dataset = ShardDataset.open(inputs["data"])
    spec = MergeSpec(**{name: settings[name] for name in MergeSpec.model_fields if name in settings})
    layers = {name: Layer.open(inputs[f"layer.{name}"]) for name in settings["layers"]}
    engine = None
    if spec.writer == "model":
        engine = open_engine(spec.engine, inputs["model"], dtype=settings["dtype"])
    layer = merge_layers(
        dataset,
        {"original": original_layer(dataset)} | layers,
        folder=folder,
        name=settings["layer"],
        spec=spec,
        seed=settings["seed"],
        engine=engine,
        progress=progress,
    )
    return {"rows": layer.count, **tally_merge(folder, dataset.without_image())}
