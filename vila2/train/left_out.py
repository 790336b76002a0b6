"""Samples that cannot be trained on: found before the training, left out, counted and named.

Reasons are: a question as long as ``max_length``, an image that cannot be read or that the model's processor
refuses, a conversation that its chat template refuses, more images than a pack may hold. The choice depends
on the data, the model and the stage's settings alone, so every process, and a resumed stage, finds the same
samples.
"""

from __future__ import annotations

import json
import logging
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vila2.data.atomic import write_text_atomic
from vila2.data.mixtures import Mixture
from vila2.errors import TrainingError
from vila2.packing.lengths import Lengths, Unfit, measure_lengths
from vila2.progress import Progress

if TYPE_CHECKING:
    from vila2.model.conversation import ConversationEncoder
    from vila2.recipe.parts.stage import StageSpec

log = logging.getLogger("vila2.train")

#: Name of the file in a stage's folder with one line for each sample left out: dataset, key, reason and hint.
LEFT_OUT_FILE = "left_out.jsonl"
_KINDS_SHOWN = 3


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A sample that was left out.

    Attributes:
        dataset: dataset and view, as "dataset through view".
        key: key of the sample.
        reason: why it was left out.
        hint: what can be done about it.
    """

    dataset: str
    key: str
    reason: str
    hint: str = ""

    @property
    def kind(self) -> str:
        """The reason without what is specific to this sample: its key, image size, details in brackets."""
        bare = self.reason.replace(repr(self.key), "").replace(self.key, "").strip()
        bare = re.sub(r"^(sample|\[\d+\])?\s*:\s*", "", bare)
        return re.sub(r" of \d+x\d+ pixels|\s*\([^()]*\)$", "", bare)


@dataclass(frozen=True, slots=True, eq=False)
class Fitting:
    """What a stage trains on.

    Attributes:
        mixture: the samples that can be trained on.
        lengths: lengths of these samples.
        results: what ``done.json`` keeps for the report: ``left_out`` (how many of how many, by kind of
            reason) and ``cut``, the number of samples whose end is cut off at ``max_length``. Empty where
            there are none.
    """

    mixture: Mixture
    lengths: Lengths
    results: dict[str, Any] = field(default_factory=dict)


def leave_out(
    stage: StageSpec,
    mixture: Mixture,
    encoder: ConversationEncoder,
    folder: Path,
    *,
    name: str,
    largest: float,
    progress: Progress,
) -> Fitting:
    """Measures a stage's samples and leaves out those that cannot be trained on.

    Args:
        stage: stage to train.
        mixture: samples of the stage.
        encoder: encoder that the stage will use.
        folder: folder of the stage, where the lengths and :data:`LEFT_OUT_FILE` are written.
        name: name of the stage.
        largest: share of the samples that may be left out, 0 to 1.
        progress: display of the measuring.

    Raises:
        TrainingError: more than ``largest`` of the samples cannot be trained on, or none can.
    """
    lengths = measure_lengths(
        mixture,
        encoder,
        stage.style,
        folder / "lengths.npz",
        progress,
        decode=lambda number: not mixture.was_checked(number),
        exact=stage.pack_length is not None,  # packs are planned from lengths; else they only have to fit
    )
    results: dict[str, Any] = {"cut": lengths.cut} if lengths.cut else {}
    unfit = [*lengths.unfit, *_of_too_many_images(stage, lengths)]
    if not unfit:
        (folder / LEFT_OUT_FILE).unlink(missing_ok=True)
        return Fitting(mixture, lengths, results)
    rows = _rows(mixture, unfit)
    lines = [
        json.dumps(
            {"dataset": row.dataset, "key": row.key, "reason": row.reason, "hint": row.hint},
            ensure_ascii=False,
        )
        for row in rows
    ]
    write_text_atomic(folder / LEFT_OUT_FILE, "".join(line + "\n" for line in lines))
    told = {"count": len(unfit), "of": len(mixture), "kinds": dict(_kinds(rows).most_common())}
    _check_share(rows, told, name, folder, largest)
    numbers = [one.number for one in unfit]
    log.warning("stage %s: %s; see %s", name, left_out_line(told), folder / LEFT_OUT_FILE)
    kept = Lengths(
        np.delete(lengths.tokens, numbers), np.delete(lengths.images, numbers), lengths.cut, tuple(unfit)
    )
    return Fitting(mixture.without(numbers), kept, results | {"left_out": told})


def left_out_line(told: dict[str, Any]) -> str:
    """One line on how many samples were left out and why; ``told`` is ``left_out`` of a stage's results."""
    kinds = list(told["kinds"].items())
    shown = ", ".join(f"{count} x {kind}" for kind, count in kinds[:_KINDS_SHOWN])
    more = f", and {len(kinds) - _KINDS_SHOWN} other reasons" if len(kinds) > _KINDS_SHOWN else ""
    return f"{told['count']} of {told['of']} samples cannot be trained on and are left out ({shown}{more})"


def _of_too_many_images(stage: StageSpec, lengths: Lengths) -> list[Unfit]:
    if not stage.pack_length or stage.pack_images is None:
        return []
    return [
        Unfit(
            int(number),
            f"more images than a pack of pack_images={stage.pack_images} holds ({lengths.images[number]})",
            "raise the stage's pack_images",
        )
        for number in np.flatnonzero((lengths.images > stage.pack_images) & (lengths.tokens > 0))
    ]


def _rows(mixture: Mixture, unfit: Iterable[Unfit]) -> list[LeftOut]:
    """Each sample once, however often the mixture reads it."""
    rows = (LeftOut(*mixture.whence(one.number), one.reason, one.hint) for one in unfit)
    return list({(row.dataset, row.key): row for row in rows}.values())


def _kinds(rows: Sequence[LeftOut]) -> Counter[str]:
    return Counter(row.kind for row in rows)


def _check_share(
    rows: Sequence[LeftOut], told: dict[str, Any], name: str, folder: Path, largest: float
) -> None:
    share = told["count"] / told["of"]
    if share <= largest and share < 1:
        return
    kind = _kinds(rows).most_common(1)[0][0]
    example = next(row for row in rows if row.kind == kind)
    if share == 1:
        what, hint = f"stage {name}: none of its {told['of']} samples can be trained on", example.hint
    else:
        what = (
            f"stage {name}: {told['count']} of {told['of']} samples ({share:.0%}) cannot be trained on, more "
            f"than the {largest:.0%} that stages.{name}.max_left_out allows"
        )
        hint = f"{example.hint}; or raise stages.{name}.max_left_out"
    raise TrainingError(
        f"{what}: {example.reason}", hint=f"{hint}. All are named in {folder / LEFT_OUT_FILE}"
    )
