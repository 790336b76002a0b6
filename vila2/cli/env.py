"""``vila2 env``: the facts about this machine that a bug report needs."""

from __future__ import annotations

import json
import os
import platform
import shutil
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any

import typer

_PACKAGES = ("torch", "transformers", "accelerate", "peft", "tokenizers", "safetensors", "huggingface-hub")
_MORE_PACKAGES = ("pillow", "pyarrow", "webdataset", "pydantic")
#: Optional packages, and the purpose of each.
_OPTIONAL = {
    "torchvision": "image processors of a few families, Llama 4 and LFM2-VL among them",
    "num2words": "not needed: for SmolVLM's videos, which vila2 does not read",
    "deepspeed": "training on several GPUs: pip install 'vila2[deepspeed]'",
    "bitsandbytes": "QLoRA, quantize: nf4: pip install 'vila2[qlora]'",
    "liger-kernel": "faster kernels on a GPU, liger: true: pip install 'vila2[liger]'",
    "datasets": "Hugging Face datasets: pip install 'vila2[hub]'",
    "flash-attn": "not needed: torch has its own FlashAttention",
    "pillow-heif": "photos in HEIC, the format of iPhones: pip install 'vila2[heic]'",
    "vllm": "the engine of that name, if a plugin brings it",
    "pycocoevalcap": "CIDEr as in the paper's tables: pip install 'vila2[bench]'",
}
#: Environment variables that change how commands work or where they look.
_VARIABLES = (
    "HF_HUB_OFFLINE",
    "TRANSFORMERS_OFFLINE",
    "HF_DATASETS_OFFLINE",
    "HF_HOME",
    "HF_HUB_CACHE",
    "HF_ENDPOINT",
    "CUDA_VISIBLE_DEVICES",
    "OMP_NUM_THREADS",
    "OMP_WAIT_POLICY",
    "GOMP_SPINCOUNT",
    "VILA2_PLUGINS",
    "VILA2_DEBUG",
)


def env(as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False) -> None:
    """Show the versions, hardware, disk space and settings of this machine."""
    found = describe_machine()
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False))
        return
    width = max(map(len, [*found, *found["optional"]]))
    for name, value in found.items():
        if name == "optional":
            for package, version in value.items():
                typer.echo(f"{package:<{width}}  {version or f'not installed ({_OPTIONAL[package]})'}")
        else:
            typer.echo(f"{name:<{width}}  {_shown(value)}")


def _shown(value: Any) -> str:
    if value is None:
        return "not installed"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {part}" for name, part in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return str(value)


def describe_machine() -> dict[str, Any]:
    """Versions of packages (None: not installed), the hardware, the disk, and environment variables."""
    from vila2 import __version__
    from vila2.report.machine import gpus, memory

    return {
        "vila2": __version__,
        "plugins": _plugins(),
        "python": platform.python_version(),
        **{name: _version(name) for name in (*_PACKAGES, *_MORE_PACKAGES)},
        "optional": {name: _version(name) for name in _OPTIONAL},
        "platform": platform.platform(),
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": _threads(),
        "memory": memory(),
        "memory_available": _memory_available(),
        "gpus": list(gpus()),
        "cuda": _cuda(),
        "disk": _disk(Path.cwd()),
        "hub_cache": _hub_cache(),
        "variables": {name: os.environ[name] for name in _VARIABLES if name in os.environ},
    }


def _plugins() -> dict[str, str]:
    from vila2.plugin.discovery import installed_plugins

    return {
        plugin.name: f"{plugin.version}{'' if plugin.allowed else ' (switched off)'}"
        for plugin in installed_plugins()
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _threads() -> int | None:
    """The number of threads that torch uses."""
    if _version("torch") is None:
        return None
    import torch

    return torch.get_num_threads()


def _memory_available() -> str:
    """The memory that is available without swapping, if the system reports it."""
    table = Path("/proc/meminfo")
    if table.is_file():
        for line in table.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return f"{int(line.split()[1]) / 2**20:.1f} GiB"
    return "unknown"


def _cuda() -> str:
    """The CUDA version that torch was built for; without it, torch uses no GPU."""
    if _version("torch") is None:
        return "none"
    import torch

    if torch.version.cuda is None:
        return "none: this torch is built for the CPU"
    return torch.version.cuda if torch.cuda.is_available() else f"{torch.version.cuda}, but no GPU is usable"


def _disk(place: Path) -> str:
    space = shutil.disk_usage(place)
    return f"{space.free / 2**30:.1f} of {space.total / 2**30:.1f} GiB free at {place}"


def _hub_cache() -> str:
    """The folder of models from the hub, and their size."""
    from huggingface_hub import constants

    cache = Path(constants.HF_HUB_CACHE)
    if not cache.is_dir():
        return f"{cache}, nothing there yet"
    # Snapshots are links to the blobs.
    files = (
        file for kept in cache.iterdir() for file in (kept / "blobs").glob("*") if (kept / "blobs").is_dir()
    )
    size = sum(file.stat().st_size for file in files)
    models = sum(kept.name.startswith("models--") for kept in cache.iterdir())
    return f"{cache}, {models} models, {size / 2**30:.1f} GiB"
