"""The kind ``choices``: multiple choice without generating: the answer is the likeliest text.

The choices of a sample are branches of one trunk, so that images and examples are read only once.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from vila2.data.sample import Sample, assistant
from vila2.engine.choice_likelihoods import ChoiceQuestion, LikelihoodEngine, with_likelihoods
from vila2.engine.protocol import Engine, Unanswered, with_model
from vila2.errors import DataError, EngineError
from vila2.evaluate.asking import BenchmarkOutcome, TaskOf, task_of
from vila2.evaluate.kinds.kind import BenchmarkKind
from vila2.evaluate.measures.items import Items
from vila2.evaluate.readable import readable
from vila2.model.conversation import ConversationEncoder
from vila2.model.encoded import IGNORED, Encoded
from vila2.model.pieces import Style
from vila2.packing.collate import collate_row
from vila2.packing.isolation import Isolation
from vila2.progress import Progress
from vila2.recipe.parts.evaluate import BenchmarkSpec

log = logging.getLogger("vila2.evaluate")


def choices(
    engine: Engine, samples: Sequence[Sample], benchmark: BenchmarkSpec, progress: Progress
) -> BenchmarkOutcome:
    """Measures how often the right choice is the likeliest, for each ``meta["kind"]``.

    The baseline is blind choice.
    """
    for sample in samples:
        _check_choices(sample)
    task = task_of(benchmark, progress)
    if (tells := with_likelihoods(engine)) is not None:
        samples, chosen = choose_by_engine(tells, samples, benchmark.name, task)
    else:
        inner = with_model(engine, f"benchmark {benchmark.name!r}")
        samples = readable(samples, ConversationEncoder(inner.processor), _shown)
        chosen = choose(inner.model, inner.processor, samples, task)
    scored: dict[str, list[tuple[Sample, bool]]] = {}
    outcome = BenchmarkOutcome()
    for sample, choice in zip(samples, chosen, strict=True):
        kind = str(sample.meta.get("kind", "all"))
        texts, right = sample.meta["choices"], sample.meta["answer"]
        scored.setdefault(kind, []).append((sample, choice == right))
        outcome.said.append(
            {
                "item": sample.key,
                "kind": kind,
                "answer": texts[right],
                "said": texts[choice],
                "right": choice == right,
            }
        )
    for kind, own in scored.items():
        blind = sum(1 / len(sample.meta["choices"]) for sample, _ in own) / len(own)
        outcome.items[kind] = Items.of_means([s.key for s, _ in own], [ok for _, ok in own], baseline=blind)
    return outcome


def choose_by_engine(
    engine: LikelihoodEngine, samples: Sequence[Sample], benchmark: str, task: TaskOf
) -> tuple[list[Sample], list[int]]:
    """Finds the likeliest choice of each sample with an engine that tells likelihoods.

    Args:
        engine: engine that is asked.
        samples: samples as in :func:`choose`, in the style "chat".
        benchmark: name of the benchmark, for messages.
        task: function that starts the task of the progress.

    Returns:
        The samples that have an answer, and the number of the likeliest choice of each. The log names the
        others.

    Raises:
        EngineError: the engine tells no likelihoods, or a sample is no chat.
    """
    for sample in samples:
        if sample.meta.get("style", "chat") != "chat":
            raise EngineError(
                f"benchmark {benchmark!r}: {sample.key!r} is plain text, and servers read conversations",
                hint="use the engine `transformers` for it",
            )
    questions = [
        ChoiceQuestion(one.key, one.images, tuple(one.turns[:-1]), tuple(_check_choices(one)))
        for one in samples
    ]
    kept, chosen = [], []
    with task(len(samples)) as progress:
        for sample, found in zip(samples, engine.choice_likelihoods(questions), strict=True):
            if isinstance(found, Unanswered):
                log.warning("left out of the benchmark: %s: %s", sample.key, found.reason)
            else:
                kept.append(sample)
                chosen.append(_likeliest(found))
            progress.advance()
    return kept, chosen


def _likeliest(likelihoods: Sequence[float]) -> int:
    return max(range(len(likelihoods)), key=likelihoods.__getitem__)


def choose(model: Any, processor: Any, samples: Sequence[Sample], task: TaskOf) -> list[int]:
    """Finds the likeliest choice of each sample.

    The likelihood of a choice is that of all its tokens and of its end, after all turns but the last.

    Args:
        model: model of images and text, in evaluation mode.
        processor: processor of the model.
        samples: samples whose ``meta["choices"]`` could stand in place of the last turn. ``meta["style"]`` is
            "chat" (the default) or "plain", as in
            :meth:`vila2.model.conversation.ConversationEncoder.encode`.
        task: function that starts the task of the progress.

    Returns:
        The number of the likeliest choice of each sample, from 0.

    Raises:
        DataError: a sample has fewer than two choices.
        TrainingError: the model cannot read branches apart.
    """
    encoder = ConversationEncoder(processor)
    chosen = []
    with task(len(samples)) as progress:
        for sample in samples:
            chosen.append(_likeliest(log_likelihoods(model, encoder, sample)))
            progress.advance()
    return chosen


def log_likelihoods(model: Any, encoder: ConversationEncoder, sample: Sample) -> list[float]:
    """Computes the log-likelihood of each choice of one sample, in nats; see :func:`choose`."""
    choices = _check_choices(sample)
    encoded = encoder.encode(*_shown(sample))
    row = collate_row([encoded], Isolation.of(model, max_length=encoder.max_length))
    row.pop("labels")
    labels = row.pop("shift_labels")[0].to(model.device)
    with torch.inference_mode():
        moved = {
            name: value.to(model.device, model.dtype if value.is_floating_point() else None)
            for name, value in row.items()
        }
        losses = cross_entropy(model(**moved).logits[0].float(), labels, reduction="none")
    owners = _counted_branches(encoded)
    return [-float(losses[owners == number].sum()) for number in range(1, len(choices) + 1)]


def _check_choices(sample: Sample) -> Sequence[str]:
    choices: Sequence[str] = sample.meta.get("choices") or ()
    if len(choices) < 2:
        raise DataError(
            f"{sample.key!r} has {len(choices)} choices", hint='give two or more as meta["choices"]'
        )
    return choices


def _shown(sample: Sample) -> tuple[Sample, Style]:
    """The sample with its choices as branches, and the style in which it is read."""
    turns = [replace(turn, train=False) for turn in sample.turns[:-1]]
    turns += [
        assistant(choice, branch=number) for number, choice in enumerate(_check_choices(sample), start=1)
    ]
    style: Style = sample.meta.get("style", "chat")
    return sample.with_turns(tuple(turns)), style


def _counted_branches(encoded: Encoded) -> torch.Tensor:
    """The branch of each token that the loss counts; nothing predicts a token that has none before it."""
    branches, labels = torch.tensor(encoded.branches), torch.tensor(encoded.labels)
    counted = labels != IGNORED
    if branches[0] != 0:  # no trunk: the first token of every branch is free
        first = torch.cat([torch.tensor([True]), branches[1:] != branches[:-1]])
        counted &= ~first
    return branches[counted]


KIND = BenchmarkKind(choices, lambda spec, first: None, one_measure=True)
