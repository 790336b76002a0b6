"""Recaptioning of a dataset: a model writes a layer of captions beside the shards (VILA² section 2.1)."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vila2.caption.asked_captions import annotate
from vila2.caption.attempts import Attempts, annotate_in_attempts
from vila2.caption.caption_job import describe_job
from vila2.caption.prompts import choose_prompt
from vila2.data.job_files import check_earlier_job, check_known, check_same_job, keep_job, only_writer
from vila2.data.journal import Journal
from vila2.data.layers import Annotation, Layer, LayerWriter
from vila2.data.sample import Sample
from vila2.data.shards import ShardDataset
from vila2.engine.protocol import Engine, GenerationSettings, Request
from vila2.errors import DataError
from vila2.run.board import Board

if TYPE_CHECKING:
    from vila2.progress import Progress, Task

log = logging.getLogger("vila2.caption")

#: Adds turns, claims or another status to an answer.
Reader = Callable[[Sample, Annotation], Annotation]
_HINT = (
    "use the same settings (a --limit among them), another layer name, or delete this layer's folder; "
    "--redo truncated,empty asks again for some captions only"
)


def recaption(
    dataset: ShardDataset,
    engine: Engine,
    *,
    folder: Path,
    layer: str,
    prompts: Sequence[str],
    settings: GenerationSettings,
    seed: int,
    batch_size: int,
    select: Callable[[str], bool] | None = None,
    read: Reader | None = None,
    attempts: Attempts | None = None,
    also: Sequence[str] = (),
    about: Mapping[str, Any] | None = None,
    noted: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Layer:
    """Lets an engine describe the images of a dataset.

    Killed at any moment and called again, it resumes after the last finished batch. The layer is then the
    same, byte for byte, as that of a job that was never disturbed: batches are cut by place in the dataset,
    and a batch is kept only whole.

    Samples without an image get no annotation, and stay as they are.

    Args:
        dataset: dataset whose images are described; its text is not shown to the engine.
        engine: engine that describes the images.
        folder: folder of the layer: ``DATASET/layers/NAME``, or the folder of a run's step.
        layer: name of the layer, such as "self-1".
        prompts: names of the paper's prompts, or texts; each image gets one by hash of key and seed.
        settings: settings of generation.
        seed: seed of the choice of prompts.
        batch_size: number of images described together.
        select: predicate for the keys to describe; all of them by default.
        read: reader that adds turns and claims to every answer; by default an answer is its text.
        also: further prompts for every image, an annotation each.
        attempts: attempts where an answer has a fault; by default the first answer stays.
        about: what else determines the layer (JSON-able), such as the plugin that reads the answers.
        noted: further facts for the layer's info, which do not determine it.
        progress: display of the images.

    Returns:
        The finished layer. Its annotations hold whatever the engine said, each with its mark
        (:mod:`vila2.engine.marks`). Its info counts the samples without an image under ``without_image``,
        where there are any.

    Raises:
        DataError: the folder holds a layer that was begun with other settings, or no selected sample has an
            image.
        EngineError: the engine cannot do what is asked.
        RunError: another process writes this layer.
    """
    folder = Path(folder)
    writer = LayerWriter(folder, layer)
    job = describe_job(engine, prompts, settings, seed)
    job |= {"layer": layer, "dataset": dataset.digest, "selection": describe_selection(dataset, select)}
    job |= _more_of_the_job(also, attempts) | dict(about or {})
    folder.mkdir(parents=True, exist_ok=True)
    with only_writer(folder):
        if (folder / "layer.json").exists():
            finished = Layer.open(folder)
            check_same_job(finished.info, job, where=folder, hint=_HINT)
            (folder / "job.json").unlink(missing_ok=True)  # left where a kill came before its removal
            return finished
        check_known(folder, hint=_HINT)
        keep_job(folder / "job.json", job, where=folder, hint=_HINT)
        asked = tuple(prompts), tuple(also)
        work = _RecaptionWork(
            dataset, engine, writer, *asked, settings, seed, batch_size, select, read, attempts
        )
        selected, images = job["selection"]["count"], work.images()
        bare = _without_image(dataset, layer, selected, images)
        work.describe(layer, images, progress or Board())
        finished = writer.finish(job | bare | dict(noted or {}))
        (folder / "job.json").unlink(missing_ok=True)
        return finished


def _without_image(dataset: ShardDataset, layer: str, selected: int, images: int) -> dict[str, int]:
    """What a layer's info says of selected samples without an image: their number; nothing where none is."""
    if selected and not images:
        raise DataError(
            f"{dataset.folder}: none of the {selected} samples has an image, so there is nothing to describe",
            hint="recaption a dataset with images",
        )
    if selected == images:
        return {}
    log.info("layer %s: %d samples without an image stay as they are", layer, selected - images)
    return {"without_image": selected - images}


def _more_of_the_job(also: Sequence[str], attempts: Attempts | None) -> dict[str, Any]:
    """What else determines captions; it is empty by default, so that jobs of earlier versions still match."""
    more: dict[str, Any] = {"also": list(also)} if also else {}
    if attempts:
        more["attempts"] = {"count": attempts.count, "temperature": attempts.temperature}
    return more


def check_layer(folder: Path, known: Mapping[str, Any]) -> None:
    """Compares a job with the layer in a folder, finished or not, before work begins.

    Raises:
        DataError: the layer was begun with other settings, each of which is named.
    """
    if (folder / "layer.json").exists():
        check_same_job(Layer.open(folder).info, known, where=folder, hint=_HINT)
    check_earlier_job(folder / "job.json", known, where=folder, hint=_HINT)


@dataclass(frozen=True, slots=True)
class _RecaptionWork:
    """The work that is the same for every shard."""

    dataset: ShardDataset
    engine: Engine
    writer: LayerWriter
    prompts: tuple[str, ...]
    also: tuple[str, ...]
    settings: GenerationSettings
    seed: int
    batch_size: int
    select: Callable[[str], bool] | None
    read: Reader | None
    attempts: Attempts | None

    def describe(self, layer: str, count: int, progress: Progress) -> None:
        """Describes all shards that are not done."""
        with progress.task(f"caption {layer}", count) as task:
            task.advance(self.finished())  # in one step, which the display leaves out of the rate
            for shard_no in range(len(self.dataset.shards)):
                self.describe_shard(shard_no, task)

    def images(self) -> int:
        """Number of samples to describe."""
        return sum(len(self._numbers(shard_no)) for shard_no in range(len(self.dataset.shards)))

    def _numbers(self, shard_no: int) -> dict[str, int]:
        """Key and number of each sample of a shard to describe: those that are selected and have an image."""
        images = self.dataset.shard_images(shard_no)
        first = self.dataset.shard_range(shard_no).start
        return {
            key: number
            for key, number in _selected(self.dataset, shard_no, self.select)
            if images[number - first]
        }

    def finished(self) -> int:
        """Number of images that an earlier process described."""
        count = 0
        for shard_no in range(len(self.dataset.shards)):
            if self.writer.has(shard_no):
                count += len(self._numbers(shard_no))
            else:
                count += sum(len({row["key"] for row in batch}) for batch in self._journal(shard_no).entries)
        return count

    def describe_shard(self, shard_no: int, task: Task) -> None:
        """Describes a shard's images and writes its annotations, unless this was done before."""
        journal = self._journal(shard_no)
        if self.writer.has(shard_no):
            journal.remove()  # left where a kill came between the two
            return
        numbers = self._numbers(shard_no)
        rows: dict[str, list[Annotation]] = {}
        for row in (Annotation.from_json(row) for batch in journal.entries for row in batch):
            rows.setdefault(row.key, []).append(row)
        for batch in _batches(numbers, self.batch_size):
            # An earlier process with another batch size may have finished a part of the batch.
            samples = [self.dataset[numbers[key]] for key in batch if key not in rows]
            if not samples:
                continue
            new: dict[str, list[Annotation]] = {sample.key: [] for sample in samples}
            for prompt in (None, *self.also):
                answers = self._answers([self._request(sample, prompt) for sample in samples])
                for sample, row in zip(samples, answers, strict=True):
                    new[sample.key].append(self.read(sample, row) if self.read else row)
            journal.append([row.to_json() for own in new.values() for row in own])
            rows |= new
            task.advance(len(samples))
        self.writer.write_shard(shard_no, [row for key in numbers for row in rows[key]])
        journal.remove()

    def _answers(self, requests: Sequence[Request]) -> list[Annotation]:
        if self.attempts:
            return annotate_in_attempts(self.engine, requests, self.settings, self.attempts)
        return annotate(self.engine, requests, self.settings)

    def _journal(self, shard_no: int) -> Journal:
        return Journal(self.writer.folder / f"{shard_no:06d}.partial.jsonl")

    def _request(self, sample: Sample, prompt: str | None) -> Request:
        """A request about an image, with the prompt given or one of the prompts of the job."""
        prompt = prompt or choose_prompt(self.prompts, sample.key, self.seed).text
        return Request(sample.key, sample.images, prompt)


def _selected(
    dataset: ShardDataset, shard_no: int, select: Callable[[str], bool] | None
) -> Iterator[tuple[str, int]]:
    """Key and number of each sample of a shard that is selected."""
    for key, number in zip(dataset.shard_keys(shard_no), dataset.shard_range(shard_no), strict=True):
        if select is None or select(key):
            yield key, number


def describe_selection(dataset: ShardDataset, select: Callable[[str], bool] | None) -> dict[str, Any]:
    """The number of samples selected, and a digest of their keys."""
    digest, count = hashlib.sha256(), 0
    for shard_no in range(len(dataset.shards)):
        for key, _ in _selected(dataset, shard_no, select):
            digest.update(key.encode() + b"\0")
            count += 1
    return {"count": count, "digest": digest.hexdigest()}


def _batches(keys: Iterable[str], size: int) -> Iterator[list[str]]:
    ordered = list(keys)
    for start in range(0, len(ordered), size):
        yield ordered[start : start + size]
