"""A judging job: its folder, the guard against mixing it with another job, and its results."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vila2 import __version__
from vila2.data.atomic import write_json_atomic
from vila2.data.job_files import check_earlier_job, keep_job, only_writer
from vila2.data.layers import ReadLayer
from vila2.data.shards import ShardDataset
from vila2.engine.protocol import Engine, GenerationSettings
from vila2.errors import DataError
from vila2.judge.engine_votes import PROMPT
from vila2.judge.examples import choose_examples
from vila2.judge.pairs import Chosen, Pair, check_count, choose_checks, choose_pairs
from vila2.judge.votes import VoteBook
from vila2.judge.win_rates import judge_results
from vila2.report.judged_results import Judged, JudgeEntry

_HINT = "give the same judge, layers and seed, or another --out"
#: A person as the judge.
PERSON: JudgeEntry = {"kind": "person", "name": "a person"}


@dataclass(frozen=True, slots=True)
class Work:
    """The pairs to judge.

    Attributes:
        dataset: dataset with the images.
        layers: layers that describe the images, by name.
        chosen: comparisons.
        checks: comparisons whose right answer is known; may be none.
        seed: seed of the choice.
    """

    dataset: ShardDataset
    layers: Mapping[str, ReadLayer]
    chosen: Chosen
    checks: list[Pair]
    seed: int

    @classmethod
    def choose(
        cls, dataset: ShardDataset, layers: Mapping[str, ReadLayer], *, count: int, check: bool, seed: int
    ) -> Work:
        """Chooses comparisons, and checks with the texts of the first layer.

        Args:
            dataset: dataset with the images.
            layers: layers by name, two or more.
            count: largest number of comparisons.
            check: whether to choose checks.
            seed: seed of the choice.

        Raises:
            DataError: there is nothing to compare.
        """
        chosen = choose_pairs(dataset, layers, count=count, seed=seed)
        name, layer = next(iter(layers.items()))
        wanted = check_count(len(chosen.pairs))
        checks = choose_checks(dataset, name, layer, count=wanted, seed=seed) if check else []
        return cls(dataset, layers, chosen, checks, seed)

    @property
    def pairs(self) -> list[Pair]:
        """All pairs that the judge sees: comparisons and checks."""
        return [*self.chosen.pairs, *self.checks]


def describe_engine(engine: Engine, settings: GenerationSettings) -> JudgeEntry:
    """Collects what an engine's votes depend on, besides the pairs."""
    return {
        "kind": "engine",
        "name": engine.name,
        "digest": engine.digest,
        "prompt": PROMPT,
        "settings": asdict(settings),
    }


def check_votes(folder: Path, work: Work) -> None:
    """Checks that a job may go on in a folder, as far as that is known before a model is loaded.

    Raises:
        DataError: the folder is a file, or holds the votes on other layers or with another seed.
    """
    if folder.exists() and not folder.is_dir():
        raise DataError(f"{folder} is a file, and the votes need a folder", hint="give another --out")
    check_earlier_job(folder / "job.json", _about(work), where=folder, hint=_HINT)


def _about(work: Work) -> dict[str, Any]:
    """What must stay the same for votes to go on in a folder, besides the judge."""
    return {
        "dataset": work.dataset.digest,
        "layers": {name: layer.digest for name, layer in work.layers.items()},
        "seed": work.seed,
    }


@contextmanager
def open_votes(folder: Path, work: Work, judge: JudgeEntry) -> Iterator[VoteBook]:
    """Opens the votes in a job's folder, for this process alone; votes of earlier processes are kept.

    The number of pairs may change between two calls: more pairs go on where fewer ended.

    Args:
        folder: folder of the job; it is made where it does not exist.
        work: pairs to judge.
        judge: judge that votes.

    Raises:
        DataError: the folder holds the votes of another judge, on other layers or with another seed.
        RunError: another process votes there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    job = {"judge": judge, **_about(work)}
    with only_writer(folder):
        keep_job(folder / "job.json", job, where=folder, hint=_HINT)
        yield VoteBook(folder / "votes.jsonl")


def write_judged(folder: Path, work: Work, judge: JudgeEntry, book: VoteBook) -> Judged:
    """Counts the votes, writes ``judged.json`` and returns its contents."""
    names = list(work.layers)
    results: Judged = {
        "vila2_version": __version__,
        "dataset": work.dataset.name,
        "layers": names,
        "judge": judge,
        "seed": work.seed,
        "images": work.chosen.images,
        "left_out": dict(sorted(work.chosen.left_out.items())),
        **judge_results(work.chosen.pairs, work.checks, book.votes, names, seed=work.seed),
        "examples": choose_examples(work.chosen.pairs, book.votes, work.dataset),
    }
    write_json_atomic(folder / "judged.json", results)
    return results
