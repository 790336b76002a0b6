"""The files of a resumable job: its settings, and the guard against mixing it with another job."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vila2.data.atomic import write_json_atomic
from vila2.data.locks import Hold, hold, hold_folder
from vila2.data.parsing import read_json
from vila2.errors import DataError, RunError

#: Key of the digest of a plugin's code. Jobs that were begun before it was kept do not have it.
CODE = "code"


def keep_job(path: Path, job: Mapping[str, Any], *, where: Path, hint: str) -> None:
    """Writes the description of a job, or compares it with that of an earlier run.

    Raises:
        DataError: the earlier run had other settings, each of which is named.
    """
    if path.exists():
        check_earlier_job(path, job, where=where, hint=hint)
    else:
        write_json_atomic(path, job)


def check_known(folder: Path, *, hint: str) -> None:
    """Refuses a folder with the work of a job whose description was deleted: it may be another job.

    Raises:
        DataError: there is such work.
    """
    if any((folder / name).exists() for name in ("job.json", "layer.json")):
        return
    work = next(
        (path.name for kind in ("parquet", "partial.jsonl") for path in folder.glob(f"[0-9]*.{kind}")), ""
    )
    if work:
        raise DataError(f"{folder} holds {work} of a job, but its job.json is missing", hint=hint)


def check_earlier_job(path: Path, job: Mapping[str, Any], *, where: Path, hint: str) -> None:
    """Compares the description of a job with that of an earlier run, where there is one.

    Args:
        path: file of the earlier description.
        job: new description, or the part of it that is known.
        where: output of the job, for the error.
        hint: advice, for the error.

    Raises:
        DataError: they differ; each difference is named.
    """
    if not path.exists():
        return
    earlier = read_json(path, hint=hint)
    check_same_job(earlier, job, where=where, hint=hint)


def check_same_job(earlier: Mapping[str, Any], job: Mapping[str, Any], *, where: Path, hint: str) -> None:
    """Compares two descriptions in everything that ``job`` holds.

    The code of a plugin is not compared with an earlier job that does not tell it.

    Raises:
        DataError: they differ; each difference is named.
    """
    old, new = _flat(earlier), _flat(dict(job))
    names = sorted(name for name in new.keys() | old.keys() if old.get(name) != new.get(name))
    names = [name for name in names if name.partition(".")[0] in job]
    names = [name for name in names if name in old or name.rpartition(".")[2] != CODE]
    if names:
        changes = "; ".join(
            f"{name}: {_short(old.get(name))} there, {_short(new.get(name))} now" for name in names
        )
        raise DataError(f"{where} was begun with other settings ({changes})", hint=hint)


def different_settings(earlier: Mapping[str, Any], job: Mapping[str, Any]) -> dict[str, Any]:
    """Lists the settings in which a job differs from an earlier one, with the job's values."""
    known = ("engine", "digest", "prompts", "seed")
    changed = {name: job[name] for name in known if name in job and job[name] != earlier.get(name)}
    before = earlier.get("settings", {})
    return changed | {
        name: value for name, value in job.get("settings", {}).items() if before.get(name) != value
    }


class OutputLock:
    """A lock of an output, which one process alone may write.

    Args:
        path: path of the output, a folder or a file that is there.
        shared: whether it is a folder that processes share, each of which writes files of its own.
        patience: seconds to wait while another process holds the folder.

    Raises:
        RunError: another process holds it, or the file system has no locks.
    """

    def __init__(self, path: Path, *, shared: bool = False, patience: float = 0.0) -> None:
        self.path, self._shared, self._patience = path, shared, patience
        self._holds = [self._hold(path)]

    def take_over(self, file: Path) -> None:
        """Locks a file too that is about to take the output's place."""
        self._holds.append(self._hold(file))

    def release(self) -> None:
        """Lets go; a second call does nothing."""
        while self._holds:
            self._holds.pop().release()

    def _hold(self, file: Path) -> Hold:
        if file.is_dir():
            held = hold_folder(file, patience=self._patience, shared=self._shared)
        else:
            held = hold(file, signed=False)
        if held is None:
            raise RunError(
                f"{self.path} is being written by another process", hint="wait for it, or write elsewhere"
            )
        return held


@contextmanager
def only_writer(path: Path, *, shared: bool = False, patience: float = 0.0) -> Iterator[OutputLock]:
    """Locks a folder or file for this process, until the block or the process ends.

    Args:
        path: path of the folder or file.
        shared: whether processes share the folder, each of which writes files of its own.
        patience: seconds to wait while another process holds the folder.

    Raises:
        RunError: another process holds it, or the file system has no locks.
    """
    lock = OutputLock(path, shared=shared, patience=patience)
    try:
        yield lock
    finally:
        lock.release()


def _flat(data: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in data.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat


def _short(value: Any) -> str:
    if value is None:
        return "absent"
    text = str(value)
    return text if len(text) <= 60 else text[:57] + "..."
