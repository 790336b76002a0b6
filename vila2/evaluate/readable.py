"""Samples that a model can read, for benchmarks that take likelihoods or hidden states and ask nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from vila2.data.sample import Sample
from vila2.errors import DataError, ModelError
from vila2.model.conversation import ConversationEncoder
from vila2.model.pieces import Style

log = logging.getLogger("vila2.evaluate")


def readable(
    samples: Sequence[Sample],
    encoder: ConversationEncoder,
    shown: Callable[[Sample], tuple[Sample, Style]],
) -> list[Sample]:
    """Selects the samples that a model's processor takes; the log names the others.

    Args:
        samples: samples of a benchmark.
        encoder: encoder of the model.
        shown: function that returns a sample as it will be encoded, and the style.

    Raises:
        DataError, ModelError: the processor takes none of them; the error is that of the first sample.
    """
    kept: list[Sample] = []
    first: DataError | ModelError | None = None
    for sample in samples:
        try:
            encoder.measure(*shown(sample))
            kept.append(sample)
        except (DataError, ModelError) as error:
            first = first or error
            log.warning("left out of the benchmark: %s", error.what)
    if first and not kept:
        raise first
    return kept
