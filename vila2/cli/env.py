"""``vila2 env``: what a bug report needs to know about this machine."""

from __future__ import annotations

import json
import os
import platform
import sys
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any

import typer

_PACKAGES = (
    "torch",
    "transformers",
    "accelerate",
    "peft",
    "pyarrow",
    "webdataset",
    "pydantic",
    "vllm",
    "deepspeed",
)


def env(as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False) -> None:
    """Show the versions and the hardware that vila2 finds here."""
    found = describe_machine()
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False))
        return
    width = max(map(len, found))
    for name, value in found.items():
        shown = (
            ", ".join(value) or "none"
            if isinstance(value, list)
            else "not installed"
            if value is None
            else value
        )
        typer.echo(f"{name:<{width}}  {shown}")


def describe_machine() -> dict[str, Any]:
    """Versions of what is installed (None where it is not), and the hardware."""
    from vila2 import __version__

    return {
        "vila2": __version__,
        "python": platform.python_version(),
        **{name: _version(name) for name in _PACKAGES},
        "platform": platform.platform(),
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory": _memory(),
        "gpus": _gpus(),
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _memory() -> str:
    count = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = Path("/sys/fs/cgroup/memory.max")  # a container may be given less than the machine has
    if sys.platform == "linux" and limit.is_file() and (text := limit.read_text().strip()).isdigit():
        count = min(count, int(text))
    return f"{count / 2**30:.1f} GiB"


def _gpus() -> list[str]:
    if _version("torch") is None:
        return []
    import torch

    found = [torch.cuda.get_device_properties(number) for number in range(torch.cuda.device_count())]
    gpus = [f"{gpu.name} ({gpu.total_memory / 2**30:.0f} GiB)" for gpu in found]
    return [*gpus, "Apple MPS"] if torch.backends.mps.is_available() else gpus
