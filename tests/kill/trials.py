"""A trial: a job is broken in a child process, once or several times, and then done again undisturbed."""

from __future__ import annotations

import gc
import hashlib
import importlib
import json
import os
import pickle
import random
import shutil
import signal
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import redirect_stdout, suppress
from dataclasses import asdict, dataclass, field, replace
from fnmatch import fnmatch
from itertools import islice
from pathlib import Path

from tests.kill.faults import KINDS, Injector, Kind, attempts

#: Where an engine of the tests notes what it was asked, beside the folder that counts.
ASKED = "asked.txt"
#: Where a broken process of a stage tells how many operations it did.
TOLD = "told.txt"


def nothing_to_lose(folder: Path) -> str:
    """The check of a job that begins with nothing."""
    return ""


@dataclass(frozen=True)
class Job:
    """A job that is broken.

    Attributes:
        name: name on the command line.
        prepare: makes the inputs in a folder.
        do: does the job there; called again, it goes on.
        out: the folder, below that, whose file operations count, and whose files are compared.
        lost: what is lost after a fault, before the job is done again: "" where nothing is.
        batch: number of answers that one fault may cost.
        kinds: the faults that make sense.
        varies: patterns of files that are never the same, for example since they hold times.
        rank: the process of a stage whose operations count; by default those of the job's own process.
    """

    name: str
    prepare: Callable[[Path], None]
    do: Callable[[Path], None]
    out: str = "out"
    lost: Callable[[Path], str] = nothing_to_lose
    batch: int = 2
    kinds: tuple[Kind, ...] = KINDS
    varies: tuple[str, ...] = ()
    rank: int | None = None


@dataclass(frozen=True)
class Ending:
    """How a call in a child process ended.

    Attributes:
        state: "done", "ended" by a signal, "refused" by an error that names its cause, or "raised" another.
        said: the error.
        operations: number of file operations.
        modules: what it imported.
        killed: whether it was SIGKILL that ended it.
    """

    state: str
    said: str = ""
    operations: int = 0
    modules: frozenset[str] = frozenset()
    killed: bool = False


@dataclass
class Found:
    """What the trials of a job found.

    Attributes:
        operations: file operations of the undisturbed job.
        trials: number of trials; a chain of faults counts once.
        faults: number of faults.
        kills: how many of these ended the job by SIGKILL, before an operation or in its middle.
        lost: trials after which something that was there before, or more answers than a batch, was gone.
        different: trials whose second call gave other files than the undisturbed job.
        refused: trials whose second call did not end well.
        left_over: trials after which files were there that the undisturbed job does not leave.
        unnamed: trials whose fault gave an error that does not say what is wrong.
        examples: the first few of these.
    """

    operations: int = 0
    trials: int = 0
    faults: int = 0
    kills: int = 0
    lost: int = 0
    different: int = 0
    refused: int = 0
    left_over: int = 0
    unnamed: int = 0
    examples: list[str] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        """Whether no trial went wrong."""
        return not (self.lost or self.different or self.refused or self.left_over or self.unnamed)

    def count(self, what: str, chain: Sequence[tuple[int, Kind]], detail: str) -> None:
        """Counts a trial that went wrong."""
        setattr(self, what, getattr(self, what) + 1)
        if len(self.examples) < 20:
            faults = ", ".join(f"{kind} at {at}" for at, kind in chain)
            self.examples.append(f"{what.replace('_', ' ')} after {faults}: {detail}")


def in_child(job: Job, folder: Path, at: int = 0, kind: Kind = "kill") -> Ending:
    """Does a job in a forked child, with a fault at one of its operations."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 1)
        ending = _do(job, folder, Injector(folder / job.out, at, kind))
        os.write(writing, pickle.dumps(ending))
        os._exit(0)
    os.close(writing)
    with open(reading, "rb") as pipe:
        told = pipe.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return Ending("ended", killed=os.WTERMSIG(status) == signal.SIGKILL)
    ending: Ending = pickle.loads(told)  # of our own child
    return ending


def _do(job: Job, folder: Path, injector: Injector) -> Ending:
    from vila2.errors import Vila2Error

    state, said, before = "done", "", frozenset(sys.modules)
    try:
        if job.rank is None:
            injector.install()
        else:
            _break_a_worker(job.rank, injector, folder)
        job.do(folder)
    except KeyboardInterrupt:
        state = "ended"
    except Vila2Error as error:
        state, said = "refused", str(error)
    except OSError as error:
        # The command line writes such an error as "FILE: reason", if it knows the file.
        state, said = "refused" if error.filename else "raised", "".join(traceback.format_exception(error))
    except BaseException as error:
        state, said = "raised", "".join(traceback.format_exception(error))
    operations = len(injector.done) if job.rank is None else _told(folder)
    return Ending(state, said, operations, frozenset(sys.modules) - before, killed="by SIGKILL" in said)


def _break_a_worker(rank: int, injector: Injector, folder: Path) -> None:
    """Has ``tests/kill/site`` break a process that this one will start."""
    here = Path(__file__).parent
    path = [str(here / "site"), str(here.parents[1]), os.environ.get("PYTHONPATH", "")]
    os.environ |= {
        "PYTHONPATH": os.pathsep.join(filter(None, path)),
        "VILA2_FAULT_RANK": str(rank),
        "VILA2_FAULT_ROOT": str(injector.root),
        "VILA2_FAULT_AT": str(injector.at),
        "VILA2_FAULT_KIND": injector.kind,
        "VILA2_FAULT_TOLD": str(folder / TOLD),
    }


def _told(folder: Path) -> int:
    file = folder / TOLD
    return int(file.read_text()) if file.exists() else 0


def warm(modules: Iterable[str]) -> None:
    """Imports what the job's children import, so that each begins with it, as its own process would end up.

    Nothing else of the job is done here: threads, which pyarrow and torch start with their work, would not
    live on in a child.
    """
    with redirect_stdout(sys.stderr):  # of what is printed there, only our own counts are asked for
        for name in sorted(modules):
            with suppress(
                ImportError, AttributeError
            ):  # what only a running job can import, it imports again
                importlib.import_module(name)
    gc.collect()
    gc.freeze()


def snapshot(folder: Path, varies: Sequence[str] = ()) -> dict[str, str]:
    """The digest of every file below a folder, without those whose names match a pattern."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not _matches(path.relative_to(folder), varies)
    }


def _matches(path: Path, patterns: Sequence[str]) -> bool:
    return any(fnmatch(path.as_posix(), pattern) for pattern in patterns)


def run_trials(
    job: Job,
    work: Path,
    count: int | None = None,
    seed: int = 0,
    kept: Found | None = None,
    keep: Callable[[Found], None] = lambda found: None,
) -> Found:
    """Breaks a job at its operations and compares what a second call makes of it with an undisturbed job.

    Args:
        job: the job.
        work: an empty folder for it.
        count: number of trials, drawn by chance; by default every operation with every kind of fault, and a
            quarter as many chains of two or three faults.
        seed: seed of the choice.
        kept: what the first of these trials found in an earlier call; they are not done again.
        keep: called after each trial.
    """
    inputs, place = work / "inputs", work / "trial"
    inputs.mkdir(parents=True)
    # Prepared in the place of the trials, since some inputs hold their own path, and in a process of its own.
    place.mkdir()
    made = in_child(replace(job, do=job.prepare), place)
    assert made.state == "done", f"{job.name}, preparation: {made.state} {made.said}"
    warm(made.modules)
    place.rename(inputs / "0")
    shutil.copytree(inputs / "0", place, symlinks=True)
    plain = in_child(job, place)
    assert plain.state == "done", f"{job.name}, undisturbed: {plain.state} {plain.said}"
    wanted, asked = snapshot(place / job.out, job.varies), _asked(place)
    warm(plain.modules)
    found = kept or Found(operations=plain.operations)
    for chain in islice(_chains(job, found.operations, count, seed), found.trials, None):
        shutil.rmtree(place)
        shutil.copytree(inputs / "0", place, symlinks=True)
        _try(job, place, chain, wanted, asked, found)
        keep(found)
    return found


def _chains(
    job: Job, operations: int, count: int | None, seed: int
) -> Iterator[tuple[tuple[int, Kind], ...]]:
    chance = random.Random(f"{job.name} {seed}")
    single = attempts(operations, job.kinds)
    number = len(single) + len(single) // 4 if count is None else count
    chosen = single if number >= len(single) else chance.sample(single, number)
    yield from ((one,) for one in chosen)
    for _ in range(number - len(chosen)):
        yield tuple(chance.choice(single) for _ in range(chance.choice((2, 3))))


def _try(
    job: Job,
    place: Path,
    chain: Sequence[tuple[int, Kind]],
    wanted: dict[str, str],
    asked: int,
    found: Found,
) -> None:
    found.trials += 1
    for at, kind in chain:
        found.faults += 1
        ending = in_child(job, place, at, kind)
        found.kills += ending.killed
        if ending.state == "raised":
            found.count("unnamed", chain, ending.said)
        if gone := job.lost(place):
            found.count("lost", chain, gone)
            return
    ending = in_child(job, place)
    if ending.state != "done":
        found.count("refused", chain, ending.said)
        return
    if (more := _asked(place) - asked) > job.batch * len(chain):
        found.count("lost", chain, f"{more} answers were asked for again")
    here = snapshot(place / job.out, job.varies)
    if other := sorted(name for name in wanted if here.get(name) != wanted[name]):
        found.count("different", chain, ", ".join(other))
    if more_files := sorted(here.keys() - wanted.keys()):
        found.count("left_over", chain, ", ".join(more_files))


def _asked(place: Path) -> int:
    file = place / ASKED
    return len(file.read_text().splitlines()) if file.exists() else 0


def as_json(results: dict[str, Found]) -> str:
    """The results as JSON."""
    return json.dumps({name: asdict(found) for name, found in results.items()}, indent=2)
