"""Tries a specialist's data: builds samples from its first inputs, as the plugin's builder reads them."""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any, TypedDict

from vila2.data.evidence import Evidence
from vila2.data.rejects import Reject, RejectTally, shown_reject
from vila2.data.sample import Sample
from vila2.data.shards import write_dataset
from vila2.errors import DataError
from vila2.plugin.references import call, load_reference
from vila2.recipe.parts.data import DatasetSpec
from vila2.recipe.specialist_recipe import RUN
from vila2.specialist.built_samples import samples_of, shards_of
from vila2.specialist.specialist_job import Job, builder_config, what_it_reads

#: Number of inputs that are tried.
_TRIED = 100
#: Number of inputs of a source that are tried first, since they may have to be made; then _TRIED where they
#: give nothing.
_FIRST = 20
#: Seconds for which a dry run goes on counting.
_SECONDS = 2.0


#: What a dry run shows of a specialist's data; see :class:`Tried`.
TriedRow = TypedDict(
    "TriedRow",
    {
        "from": str,
        "looked_at": int,
        "all": bool,
        "samples": dict[str, int],
        "rejected": dict[str, int],
        "examples": list[str],
        "expected": int | None,
    },
)


@dataclass(slots=True)
class Tried:
    """What the first inputs gave.

    Attributes:
        where: name of the data, for a reader.
        first: first sample of every subset.
        samples: numbers of samples by subset; a share of them will be held out.
        rejects: rejected inputs, and parts of inputs.
        bytes: bytes of the samples' images.
        whole: whether all inputs that were taken were looked at.
        imported: number of inputs that were taken from a source; None where the data lies ready.
        total: number of inputs that the source has; None where it does not say.
        shards: numbers of the builder's shards that were finished, and of all.
    """

    where: str
    first: dict[str, Sample] = field(default_factory=dict)
    samples: Counter[str] = field(default_factory=Counter)
    rejects: RejectTally = field(default_factory=RejectTally)
    bytes: int = 0
    whole: bool = False
    imported: int | None = None
    total: int | None = None
    shards: tuple[int, int] = (0, 0)

    @property
    def looked_at(self) -> int:
        """The number of samples and rejects together."""
        return self.samples.total() + self.rejects.counts.total()

    @property
    def times(self) -> float | None:
        """The size of all the data, in multiples of what was tried; None where it is unknown.

        Shards count as equally large, which is all that is known of a builder's data before they are built.
        """
        if self.imported:
            return self.total / self.imported if self.total else None
        finished, all_shards = self.shards
        return 1.0 if self.whole else all_shards / finished if finished else None

    def take(self, item: Sample | Reject, subset: str) -> None:
        """Counts a sample or a reject.

        Args:
            item: sample or reject.
            subset: subset of samples that name none.
        """
        if isinstance(item, Reject):
            self.rejects.add(item)
            return
        name = item.meta.get("subset", subset)
        self.first.setdefault(name, item)
        self.samples[name] += 1
        self.bytes += sum(len(image) for image in item.images)

    def to_json(self) -> TriedRow:
        """Returns what a dry run shows."""
        times = self.times
        return {
            "from": self.where,
            "looked_at": self.looked_at,
            "all": self.whole and self.imported in (None, self.total),
            "samples": dict(self.samples),
            "rejected": dict(self.rejects.counts),
            "examples": [shown_reject(reject) for reject in self.rejects.examples],
            "expected": None if times is None else round(times * self.samples.total()),
        }


def try_data(job: Job, *, count_on: bool = False) -> Tried:
    """Tries the first inputs of a specialist's data.

    Args:
        job: what the specialist is made of.
        count_on: whether to count all inputs, as far as this takes a moment only.

    Raises:
        DataError: the inputs give no sample; the error names the rejects by reason.
        PluginError: the builder fails.
    """
    spec = _spec(job)
    found = Tried(
        where=f"{spec.source} {spec.path}"
        if spec.source != "path" and spec.path
        else str(spec.path or spec.source)
    )
    if job.images is not None:
        _check_evidence(job, spec)
    for count in (_FIRST, _TRIED):
        with tempfile.TemporaryDirectory() as temporary:
            data = _some_data(spec, Path(temporary), count, found)
            if data is not None:
                _build_some(job, data, found, count_on)
        if found.samples or found.imported is None or found.imported < count:
            break
        found = Tried(found.where)
    if not found.samples:
        of = f"specialist {job.name!r} ({job.plugin.package} {job.plugin.version})"
        raise DataError(
            f"{of}: the first {found.looked_at} inputs of {found.where} give no sample; "
            f"rejected: {found.rejects}",
            hint=what_it_reads(job.specialist),
        )
    return found


def _check_evidence(job: Job, spec: DatasetSpec) -> None:
    """Checks that the run's own images, which are built from where no data is named, carry evidence.

    Raises:
        DataError: none of the first images does.
    """
    from vila2.sources.first_samples import some_samples

    name = job.origin.recaptioned or ""
    own = some_samples(name, spec if spec.source != "path" else DatasetSpec(source="shards", path=spec.path))
    if not any(Evidence.of(sample) is not None for sample in islice(own, _FIRST)):
        raise DataError(
            f"no data to build from: the images of dataset {name!r} carry no evidence",
            hint=what_it_reads(job.specialist),
        )


def _build_some(job: Job, data: Path, found: Tried, count_on: bool) -> None:
    """Builds from the data until every subset that is trained on has a sample; counts on where asked to."""
    of = f"{job.plugin}, builder"
    builder = call(load_reference(job.specialist.builder, of=of), builder_config(job, data), of=of)
    needed = {name for name in job.recipe.datasets() if not name.startswith(RUN)}
    end = time.monotonic() + (_SECONDS if count_on else 0)
    for item in _items(builder, of, found):
        if isinstance(item, Reject) and found.imported is not None:
            item = replace(item, where=item.where.replace(str(data), found.where))
        found.take(item, job.subsets[0])
        if not count_on and needed <= found.first.keys():
            return
        if found.looked_at >= _TRIED and time.monotonic() > end and found.imported is None:
            return
    found.whole = True


def _items(builder: Any, of: str, found: Tried) -> Iterator[Sample | Reject]:
    shards = shards_of(builder, of)
    for number, shard in enumerate(shards):
        found.shards = number, len(shards)
        yield from samples_of(builder, shard, of)


def _spec(job: Job) -> DatasetSpec:
    """The data, or the source that the run will import it from."""
    if job.images is not None and not job.images.done:
        return job.origin.sources[job.origin.recaptioned or ""]
    return job.data


def _some_data(spec: DatasetSpec, folder: Path, count: int, found: Tried) -> Path | None:
    """Returns the data as it lies, or the first inputs of a source as a dataset; None if all are rejected."""
    if spec.source in ("path", "shards"):
        return Path(str(spec.path))
    from vila2.sources import open_source

    total = spec.options.get("count")
    found.total = total if isinstance(total, int) else None
    options = {**spec.options, "count": min(count, found.total or count)}
    items = islice(open_source(spec.source, path=spec.path, **options), count)
    taken, found.imported = [], 0
    for item in items:
        found.imported += 1
        if isinstance(item, Reject):
            found.take(item, "")
        else:
            taken.append(item)
    if found.imported < options["count"]:
        found.total = found.imported
    if not taken:
        return None
    write_dataset(folder / "some", iter(taken), name="some")
    return folder / "some"
