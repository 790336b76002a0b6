"""The machine and the software of this process, in words for a report."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import vila2
from vila2.report.value import Value

#: Packages whose versions a report names.
_PACKAGES = ("torch", "transformers", "tokenizers", "deepspeed", "peft")
_SECONDS_FOR_GIT = 5


class Machine(Value):
    """The hardware that a run finished on.

    Attributes:
        system: operating system and architecture.
        cpu: model of the processor.
        cores: number of cores that the process may use.
        memory: memory of the machine, or of its container where that is less.
        gpus: names of the GPUs, with their memory and capability.
    """

    system: str
    cpu: str
    cores: int
    memory: str
    gpus: tuple[str, ...] = ()


def this_machine() -> Machine:
    """The machine that this process runs on."""
    return Machine(
        system=f"{platform.system()} {platform.machine()}",
        cpu=_cpu(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        memory=memory(),
        gpus=gpus(),
    )


def installed_versions() -> dict[str, str]:
    """Versions of Python, vila2 and the packages that a result depends on most."""
    versions = {"vila2": vila2.__version__, "Python": platform.python_version()}
    for name in _PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def vila2_commit() -> str | None:
    """The commit of the installed vila2, with "+ changes" if files differ from it; None if unknown."""
    folder = Path(vila2.__file__).parent
    if _git(
        folder, "ls-files", "--error-unmatch", "__init__.py"
    ):  # vila2's own repository, not one around it
        commit = _git(folder, "rev-parse", "--short=12", "HEAD")
        return (
            f"{commit} + changes" if commit and _git(folder, "status", "--porcelain", "--", ".") else commit
        )
    return _commit_installed_by_pip()


def _git(folder: Path, *arguments: str) -> str | None:
    command = ["git", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=_SECONDS_FOR_GIT,
            check=True,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None


def _commit_installed_by_pip() -> str | None:
    """The commit that pip notes when it installs from a repository (PEP 610)."""
    try:
        noted = metadata.distribution("vila2").read_text("direct_url.json")
        commit = json.loads(noted or "{}").get("vcs_info", {}).get("commit_id")
    except (metadata.PackageNotFoundError, ValueError, AttributeError):
        return None
    return commit[:12] if isinstance(commit, str) else None


def _cpu() -> str:
    table = Path("/proc/cpuinfo")
    if table.is_file():
        for line in table.read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


def memory() -> str:
    """Returns the memory of the machine, or of its container if that has less."""
    count = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = Path("/sys/fs/cgroup/memory.max")
    if sys.platform == "linux" and limit.is_file() and (text := limit.read_text().strip()).isdigit():
        count = min(count, int(text))
    return f"{count / 2**30:.1f} GiB"


def gpus() -> tuple[str, ...]:
    """Returns the GPUs that torch sees, each with its memory and capability; none without torch."""
    try:
        import torch
    except ImportError:
        return ()
    found = [torch.cuda.get_device_properties(number) for number in range(torch.cuda.device_count())]
    names = [
        f"{gpu.name} ({gpu.total_memory / 2**30:.0f} GiB, capability {gpu.major}.{gpu.minor})"
        for gpu in found
    ]
    return (*names, "Apple MPS") if torch.backends.mps.is_available() else tuple(names)
