"""What `vila2 doctor` looks at besides a trial of training: each thing with its state and, if ill, a hint."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

State = Literal["ok", "warning", "problem"]

_GIB = 2**30
_FREE_DISK = 10 * _GIB  # a run on the miniature takes 0.2 GiB, a model from the hub several
_SHARED = _GIB  # of /dev/shm, through which data workers hand over batches
_MEMORY = 4 * _GIB
_OPEN_FILES = 1024
_CUDA_BUILD = "pip install torch --index-url https://download.pytorch.org/whl/cu128"


@dataclass(frozen=True, slots=True)
class Symptom:
    """One thing that was looked at.

    Attributes:
        name: name of the thing.
        state: "ok"; "warning" for what may stand in the way; "problem" for what will.
        told: what was found.
        hint: how to mend it; "" where all is well.
    """

    name: str
    state: State
    told: str
    hint: str = ""

    def to_json(self) -> dict[str, str]:
        """Gives it as JSON values."""
        return asdict(self)


def symptoms(place: Path) -> Iterator[Symptom]:
    """Looks at packages, GPUs, memory, the disk of a folder, the hub's cache and plugins, one by one."""
    looks: tuple[Callable[[], Symptom], ...] = (
        _packages,
        _gpus,
        _memory,
        lambda: _disk("disk", place),
        lambda: _locks(place),
        _cache,
        _shared_memory,
        _open_files,
    )
    for look in looks:
        yield look()
    yield from _plugins()


def _packages() -> Symptom:
    """Whether the packages that vila2 needs are there, in versions that it takes."""
    from packaging.requirements import Requirement

    wrong, right = [], []
    for text in metadata.requires("vila2") or ():
        needed = Requirement(text)
        if needed.marker is not None and not needed.marker.evaluate({"extra": ""}):
            continue
        try:
            version = metadata.version(needed.name)
        except metadata.PackageNotFoundError:
            wrong.append(f"{needed} is not installed")
            continue
        if needed.specifier.contains(version, prereleases=True):
            right.append(needed.name)
        else:
            wrong.append(f"{needed} is needed, {version} is installed")
    if wrong:
        return Symptom("packages", "problem", "; ".join(wrong), "pip install --upgrade vila2")
    return Symptom("packages", "ok", f"{len(right)} needed packages are there, in versions that fit")


def _gpus() -> Symptom:
    """Whether torch can use the GPUs that the machine has."""
    import torch

    from vila2.report.machine import gpus

    if found := gpus():
        return Symptom("gpu", "ok", ", ".join(found))
    there = Path("/dev/nvidia0").exists() or shutil.which("nvidia-smi") is not None
    if there and torch.version.cuda is None:
        return Symptom("gpu", "problem", "a GPU is here, but this torch is built for the CPU", _CUDA_BUILD)
    if there or (torch.version.cuda is not None and os.environ.get("CUDA_VISIBLE_DEVICES") != ""):
        hint = "see whether `nvidia-smi` works, and what CUDA_VISIBLE_DEVICES says; the CPU is used meanwhile"
        return Symptom(
            "gpu", "warning", f"torch is built for CUDA {torch.version.cuda}, but finds no GPU", hint
        )
    return Symptom("gpu", "ok", "none; everything runs on the CPU")


def _memory() -> Symptom:
    table = Path("/proc/meminfo")
    if not table.is_file():
        return Symptom("memory", "ok", "this system does not tell how much is free")
    free = next(
        int(line.split()[1]) * 1024 for line in table.read_text().splitlines() if "MemAvailable" in line
    )
    told = f"{free / _GIB:.1f} GiB are free"
    if free < _MEMORY:
        return Symptom("memory", "warning", told, "end other programs; a smaller model or batch needs less")
    return Symptom("memory", "ok", told)


def _disk(name: str, place: Path) -> Symptom:
    """Whether a folder can be written to and has room."""
    known = next(one for one in (place, *place.absolute().parents) if one.exists())
    told = f"{(free := shutil.disk_usage(known).free) / _GIB:.1f} GiB are free at {place}"
    if not os.access(known, os.W_OK):
        return Symptom(name, "problem", f"{known} cannot be written to", "go to a folder of yours")
    if free < _FREE_DISK:
        return Symptom(
            name, "warning", told, "`vila2 run --dry-run` says what a run needs; `keep: best` keeps it small"
        )
    return Symptom(name, "ok", told)


def _locks(place: Path) -> Symptom:
    """Whether the folder's file system has locks, which guard runs and datasets."""
    from vila2.data.locks import NO_LOCKS, hold
    from vila2.errors import Vila2Error

    file = place / f".vila2-doctor-{os.getpid()}"
    try:
        held = hold(file)
    except (OSError, Vila2Error) as error:
        return Symptom("locks", "warning", f"{error}", f"{NO_LOCKS}=1, with one process for each folder only")
    try:
        if held is None:
            return Symptom("locks", "warning", f"{file} is held by another process", "try again")
        return Symptom("locks", "ok", f"files at {place} can be locked")
    finally:
        if held is not None:
            held.release()
        file.unlink(missing_ok=True)


def _cache() -> Symptom:
    """Whether models from the hub can be kept, and whether the hub is asked at all."""
    from huggingface_hub import constants

    found = _disk("hub cache", Path(constants.HF_HUB_CACHE))
    if found.state == "ok" and constants.HF_HUB_OFFLINE:
        return Symptom("hub cache", "ok", f"{found.told}; HF_HUB_OFFLINE is set, so nothing is downloaded")
    if found.state == "problem":
        return Symptom("hub cache", "problem", found.told, "set HF_HOME to a folder that you can write to")
    return found


def _shared_memory() -> Symptom:
    place = Path("/dev/shm")
    if not place.is_dir():
        return Symptom("shared memory", "ok", "this system has no /dev/shm")
    told = f"{(free := shutil.disk_usage(place).free) / _GIB:.1f} GiB are free in /dev/shm"
    if free < _SHARED:
        return Symptom("shared memory", "warning", told, "in Docker: --shm-size=8g; data workers need it")
    return Symptom("shared memory", "ok", told)


def _open_files() -> Symptom:
    import resource

    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    told = "any number of files may be open" if limit < 0 else f"{limit} files may be open at a time"
    if 0 <= limit < _OPEN_FILES:
        return Symptom("open files", "warning", told, "ulimit -n 4096, for datasets of many shards")
    return Symptom("open files", "ok", told)


def _plugins() -> Iterator[Symptom]:
    """Loads each installed plugin that is switched on."""
    from vila2.errors import Vila2Error
    from vila2.plugin.discovery import clashes, everything_installed
    from vila2.plugin.host import Host

    host, found = Host(), everything_installed()
    twice = clashes(found)
    for one in found:
        name = f"{one.kind} {one.name}"
        if not one.allowed:
            yield Symptom(name, "ok", f"{one.package} {one.version}, switched off by VILA2_PLUGINS")
        elif clash := twice.get((one.kind, one.name)):
            yield Symptom(name, "problem", clash, "uninstall one of the two")
        else:
            try:
                host.described(one.name) if one.kind == "plugin" else host.load_function(one)
            except Vila2Error as error:
                yield Symptom(name, "problem", error.what, error.hint or "`vila2 plugins check` tells more")
            else:
                yield Symptom(name, "ok", f"{one.package} {one.version}")
