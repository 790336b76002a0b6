"""What is looked at before a specialist is made: whether its data gives samples, one of each stage in tokens, the memory."""

from __future__ import annotations

import tempfile
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vila2.cycle.preflight import fold_repeats, image_place, model_in_outline
from vila2.cycle.specialise import make
from vila2.cycle.specialist_job import Job, builder_config, tokens_and_coordinates
from vila2.cycle.specialist_work import give_tokens, samples_of, shards_of
from vila2.cycle.specialists import prepare_specialists
from vila2.data.branches import is_tree, take_apart
from vila2.data.sample import Sample
from vila2.errors import DataError, Vila2Error
from vila2.plugin.references import call, load_reference
from vila2.run.steps import Run

if TYPE_CHECKING:
    from vila2.cycle.generalist import Cycle
    from vila2.cycle.rounds import History
    from vila2.run.recipe import StageSpec

_TRIED = 200  # inputs that are looked at for one sample of each subset


def preflight_specialist(job: Job, folder: Path) -> dict[str, Any]:
    """Checks all that can be checked and works on a single sample; nothing is written.

    Returns:
        ``plan`` (the steps), ``samples`` (by stage, one in tokens) and ``memory`` (bytes by stage and purpose).

    Raises:
        Vila2Error: what would go wrong.
    """
    from vila2.model.outline import outline
    from vila2.train.estimate import Sizes, stage_memory
    from vila2.train.fit import check_answers, check_fit, how_it_isolates

    first = first_samples(job)
    model, processor = outline(job.origin.start(job.recipe.start))
    check_fit(job.recipe.stages, model, processor)
    check_answers(processor, f"the held-out questions of {job.plugin}")
    give_tokens(model, processor, **tokens_and_coordinates(job.specialist, job.recipe))
    sizes = Sizes.of(model)
    value_bytes = 4 if job.origin.dtype == "float32" else 2
    samples, memory = {}, {}
    for name, stage in job.recipe.stages.items():
        dataset, sample = _sample_of(stage, first)
        problem = how_it_isolates(stage, model).problem
        parts = take_apart(sample) if problem else [sample]
        samples[name] = {"dataset": dataset, **_in_tokens(parts[0], stage, processor)}
        if problem and is_tree(sample):
            samples[name]["taken_apart"] = {"why": problem, "first": len(parts)}
        counts = samples[name]["tokens"], samples[name]["trained_tokens"]
        memory[name] = stage_memory(
            sizes, stage, tokens=counts[0], counted=counts[1], value_bytes=value_bytes
        )
    plan = Run.open(folder, dry=True)
    make(job, plan)
    return {"plan": plan.plan, "samples": samples, "memory": memory}


def check_specialists(cycle: Cycle, history: History) -> None:
    """Whether what a run's specialists are to be made of gives samples, before the rounds that come first.

    Args:
        cycle, history: of a dry walk.

    Raises:
        DataError: the data of one gives none.
        ModelError, TrainingError: the run's model cannot be made a specialist as its recipe asks.
    """
    from vila2.train.fit import check_answers, check_fit

    done = {step.name for step in cycle.run.plan if step.state == "done"}
    model = processor = None
    for job in prepare_specialists(cycle, history.best).values():
        if model is None:  # every specialist begins with a model of this structure
            model, processor = model_in_outline(cycle.recipe)
        try:
            check_fit(job.recipe.stages, model, processor)
            check_answers(processor, "its held-out questions")
        except Vila2Error as error:
            raise type(error)(f"specialists.{job.name}: {error.what}", mend=error.mend) from error
        # The run's own images are not there yet.
        if job.images is None and f"build-{job.name}" not in done:
            first_samples(job)


def first_samples(job: Job) -> dict[str, Sample]:
    """One sample of every subset that the first few inputs give.

    Raises:
        DataError: they give none.
    """
    of = f"{job.plugin}, builder"
    with tempfile.TemporaryDirectory() as temporary:
        data = _some_data(job, Path(temporary))
        builder = call(load_reference(job.specialist.builder, of=of), builder_config(job, data), of=of)
        found: dict[str, Sample] = {}
        looked = 0
        for shard in shards_of(builder, of):
            for item in islice(samples_of(builder, shard, of), _TRIED - looked):
                looked += 1
                if isinstance(item, Sample):
                    found.setdefault(item.meta.get("subset", job.subsets[0]), item)
                if len(found) == len(job.subsets):
                    return found
            if looked >= _TRIED:
                break
    if not found:
        raise DataError(
            f"{of}: the first {looked} inputs of {job.data.path or job.data.source} give no sample",
            mend="check --data, and `vila2 plugins show` for what the plugin reads",
        )
    return found


def _some_data(job: Job, folder: Path) -> Path:
    """The data as it lies, or the first samples of a source as a dataset."""
    if job.data.source in ("path", "shards"):
        return Path(str(job.data.path))
    from vila2.data.shards import write_dataset
    from vila2.sources import open_source

    options = {**job.data.options, "count": min(20, job.data.options.get("count") or 20)}
    write_dataset(folder / "some", open_source(job.data.source, path=job.data.path, **options), name="some")
    return folder / "some"


def _sample_of(stage: StageSpec, first: dict[str, Sample]) -> tuple[str, Sample]:
    named = [entry.dataset for entry in stage.mixture if entry.dataset in first]
    dataset = named[0] if named else next(iter(first))
    return dataset, first[dataset]


def _in_tokens(sample: Sample, stage: StageSpec, processor: Any) -> dict[str, Any]:
    from vila2.model.conversation import IGNORED, ConversationEncoder

    encoded = ConversationEncoder(processor, max_length=stage.max_length).encode(sample, stage.style)
    trained = [
        token for token, label in zip(encoded.input_ids, encoded.labels, strict=True) if label != IGNORED
    ]
    decode = processor.tokenizer.decode
    return {
        "tokens": len(encoded.input_ids),
        "trained_tokens": len(trained),
        "text": fold_repeats(decode(encoded.input_ids), image_place(processor)),
        "trained_text": decode(trained),
    }
