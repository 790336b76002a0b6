"""Recaptioning of a dataset: a model writes a layer of captions beside the shards (VILA² section 2.1)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vila2.caption.batched_layer import OTHER_SETTINGS, Described, write_batched_layer
from vila2.caption.caption_job import describe_job
from vila2.caption.chooser import NO_CHOOSER, Chooser, annotate_by, job_of
from vila2.caption.layer_parts import LayerPart
from vila2.caption.prompts import choose_prompt
from vila2.data.annotations import Annotation
from vila2.data.job_files import check_earlier_job, check_same_job
from vila2.data.layers import Layer
from vila2.data.sample import Sample
from vila2.data.shards import ShardDataset
from vila2.engine.protocol import Engine, GenerationSettings, Request, preparing

if TYPE_CHECKING:
    from vila2.progress import Progress

#: Adds turns, claims or another status to an answer.
Reader = Callable[[Sample, Annotation], Annotation]


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
    part: LayerPart | None = None,
    read: Reader | None = None,
    chooser: Chooser | None = None,
    also: Sequence[str] = (),
    about: Mapping[str, Any] | None = None,
    noted: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
    hint: str = OTHER_SETTINGS,
) -> Layer:
    """Lets an engine describe the images of a dataset.

    It is resumable, and leaves samples without an image as they are, as
    :func:`vila2.caption.batched_layer.write_batched_layer` says.

    Args:
        dataset: dataset whose images are described; its text is not shown to the engine.
        engine: engine that describes the images.
        folder: folder of the layer: ``DATASET/layers/NAME``, or the folder of a run's step.
        layer: name of the layer, such as "self-1".
        prompts: names of the paper's prompts, or texts; each image gets one by hash of key and seed.
        settings: settings of generation.
        seed: seed of the choice of prompts.
        batch_size: number of images described together, and kept together. An engine that streams is asked
            without a pause between them.
        select: predicate for the keys to describe; all of them by default.
        part: part of the shards that this process writes, while others write theirs; all by default.
        read: reader that adds turns and claims to every answer; by default an answer is its text.
        also: further prompts for every image, an annotation each.
        chooser: chooser among several answers; by default an image gets one.
        about: what else determines the layer (JSON-able), such as the plugin that reads the answers.
        noted: further facts for the layer's info, which do not determine it.
        progress: display of the images.
        hint: advice where the layer was begun with other settings.

    Returns:
        The finished layer. Its annotations hold whatever the engine said, each with its mark
        (:mod:`vila2.engine.marks`).

    Raises:
        DataError: the folder holds a layer that was begun with other settings, or no selected sample has an
            image.
        EngineError: the engine cannot do what is asked.
        OtherPartsLeft: the part is done, and other parts are not.
        RunError: another process writes this layer.
    """
    check_layer(Path(folder), {**NO_CHOOSER, **job_of(chooser)}, hint=hint)
    job = describe_job(engine, prompts, settings, seed) | _more_of_the_job(also, chooser)
    describer = _Describer(engine, tuple(prompts), tuple(also), settings, seed, read, chooser)
    return write_batched_layer(
        dataset,
        describer,
        folder=folder,
        layer=layer,
        job=job | dict(about or {}),
        batch_size=batch_size,
        likeness=None if preparing(engine) is None else describer.likeness,
        select=select,
        part=part,
        noted=noted,
        progress=progress,
        hint=hint,
    )


def _more_of_the_job(also: Sequence[str], chooser: Chooser | None) -> dict[str, Any]:
    """What else determines captions; it is empty by default, so that jobs of earlier versions still match."""
    return ({"also": list(also)} if also else {}) | job_of(chooser)


def check_layer(folder: Path, known: Mapping[str, Any], *, hint: str = OTHER_SETTINGS) -> None:
    """Compares a job with the layer in a folder, finished or not, before work begins.

    Raises:
        DataError: the layer was begun with other settings, each of which is named.
    """
    if (folder / "layer.json").exists():
        check_same_job(Layer.open(folder).info, known, where=folder, hint=hint)
    check_earlier_job(folder / "job.json", known, where=folder, hint=hint)


@dataclass(frozen=True, slots=True)
class _Describer:
    """Describes batches of images with an engine."""

    engine: Engine
    prompts: tuple[str, ...]
    also: tuple[str, ...]
    settings: GenerationSettings
    seed: int
    read: Reader | None
    chooser: Chooser | None

    def __call__(self, batches: Iterable[Sequence[Sample]]) -> Iterator[Described]:
        asked = ((samples, prompt) for samples in batches for prompt in (None, *self.also))
        answered = annotate_by(self.chooser, self.engine, asked, self._requests, self.settings)
        for (samples, _), own in answered:
            further = [answers for _, answers in islice(answered, len(self.also))]
            yield (
                samples,
                [
                    [self.read(sample, row) if self.read else row for rows in answers for row in rows]
                    for sample, *answers in zip(samples, own, *further, strict=True)
                ],
            )

    def likeness(self, sample: Sample) -> tuple[str, int]:
        """Prompt and length: answers to one prompt are of similar length, and what is long is asked first."""
        (request,) = self._requests(([sample], None))
        return request.prompt, -preparing(self.engine).expected_tokens(request)  # type: ignore[union-attr]

    def _requests(self, asked: tuple[Sequence[Sample], str | None]) -> list[Request]:
        """Requests about a batch of images, with the prompt given or one of the prompts of the job."""
        samples, given = asked
        return [
            Request(one.key, one.images, given or choose_prompt(self.prompts, one.key, self.seed).text)
            for one in samples
        ]
