"""Options that several commands share, with one name and one help text each."""

from __future__ import annotations

import contextlib
import json
import logging
import shlex
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from vila2.caption.layer_parts import OtherPartsLeft
    from vila2.exports.pushed import Pushed
    from vila2.recipe.parts.compute import ComputeSpec
    from vila2.recipe.parts.engine import EngineSpec


def _be_verbose(asked: bool) -> bool:
    if asked:
        log = logging.getLogger("vila2")
        log.setLevel(min(log.level or logging.INFO, logging.INFO))
        for handler in logging.getLogger().handlers:
            handler.setLevel(min(handler.level, logging.INFO))
    return asked


AsJson = Annotated[bool, typer.Option("--json", help="Print only the result, as JSON, on standard output.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")]
Verbose = Annotated[
    bool,
    typer.Option("--verbose", "-v", callback=_be_verbose, help="Also show log messages."),
]
EngineName = Annotated[
    str | None,
    typer.Option(
        "--engine",
        help="Engine that generates; plugins bring others. By default the run's, else transformers.",
    ),
]
ModelEngine = Annotated[
    str | None,
    typer.Option(
        "--engine", help="Engine that runs the model, by default transformers; plugins bring others."
    ),
]
EngineOptions = Annotated[
    list[str] | None,
    typer.Option(
        "--engine-option",
        metavar="KEY=VALUE",
        help="Option of the engine, such as url=http://localhost:8000/v1. May be repeated.",
        show_default=False,
    ),
]
Device = Annotated[str | None, typer.Option("--device", help="Device: cpu, cuda, cuda:1 or mps.")]
Dtype = Annotated[
    str | None, typer.Option("--dtype", help="Type of the weights: float32, bfloat16 or float16.")
]
TrustRemoteCode = Annotated[
    bool, typer.Option("--trust-remote-code", help="Allow the model to run its own code.")
]
Temperature = Annotated[
    float,
    typer.Option("--temperature", min=0, help="Sampling temperature; 0 always takes the likeliest token."),
]
TopP = Annotated[float, typer.Option("--top-p", help="Share of the probability to sample from.")]
RepetitionPenalty = Annotated[
    float, typer.Option("--repetition-penalty", help="Penalty on tokens that were used before; 1 is none.")
]
RunDataset = Annotated[
    str | None,
    typer.Option("--dataset", help="Dataset of the run; by default the recaptioned one."),
]
Private = Annotated[
    bool,
    typer.Option("--private/--public", help="Whether nobody else or everyone may see what is pushed."),
]
PartOption = Annotated[
    str | None,
    typer.Option(
        "--part",
        metavar="I/N",
        help="Write every N-th shard of the layer, from the I-th on; other processes or machines that share "
        "the folder write the others. The last one completes the layer; `vila2 status DATASET` shows it.",
        show_default=False,
    ),
]
Ray = Annotated[
    str | None,
    typer.Option(
        "--ray",
        metavar="ADDRESS",
        help="Let a Ray cluster do the work: auto, the one that this machine belongs to; local, one on this "
        "machine; or HOST:PORT.",
        show_default=False,
    ),
]
RayWorkers = Annotated[
    int | None,
    typer.Option(
        "--workers",
        min=1,
        help="With --ray, number of workers; by default one for each GPU, or each machine without GPUs.",
        show_default=False,
    ),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", "-n", help="Check everything and show the steps, but do nothing.")
]


def given(**options: Any) -> dict[str, Any]:
    """Options that were given. An engine need not know the others, so they are not passed to it."""
    return {name: value for name, value in options.items() if value not in (None, False)}


@contextlib.contextmanager
def results_alone() -> Iterator[None]:
    """Keeps standard output for results: other output, as of libraries, goes to standard error."""
    with contextlib.redirect_stdout(sys.stderr):
        yield


def chosen_engine(
    name: str | None, options: list[str] | None, otherwise: EngineSpec | None = None
) -> EngineSpec:
    """The engine that the options name; ``otherwise``, or transformers, where they name none."""
    from vila2.errors import EngineError
    from vila2.recipe.file.yaml import read_setting
    from vila2.recipe.parts.engine import EngineSpec

    start = EngineSpec(name=name) if name else otherwise or EngineSpec()
    given: dict[str, Any] = {}
    for option in options or ():
        key, equals, text = option.partition("=")
        if not equals:
            raise EngineError(f"--engine-option {key}: there is no value", hint="write it as KEY=VALUE")
        given[key] = read_setting(text, where=f"--engine-option {key}").value
    return EngineSpec(name=start.name, options={**start.options, **given})


def chosen_cluster(
    ray: str | None, workers: int | None, whole: Mapping[str, object] | None = None
) -> ComputeSpec | None:
    """The cluster that the options name; None where they name none.

    Args:
        ray: address of the cluster.
        workers: number of workers.
        whole: options that workers cannot share, and what was given for them.
    """
    from vila2.errors import RecipeError
    from vila2.recipe.parts.compute import ComputeSpec

    if ray is None:
        if workers is not None:
            raise RecipeError("--workers is about a cluster", hint="name one with --ray")
        return None
    for name, value in (whole or {}).items():
        if value:
            raise RecipeError(f"{name} and --ray exclude each other", hint="leave one of them out")
    return ComputeSpec(ray=ray, workers=workers)


def pushed_line(pushed: Pushed) -> str:
    """Tells where something was pushed to, and who sees it."""
    seen = "which only you can see" if pushed.private else "which everyone can see"
    return f"pushed to {pushed.url}, {seen}"


def show_part(done: OtherPartsLeft, *, as_json: bool) -> None:
    """Tells that a part of a layer is done, and how many shards are left to others."""
    if as_json:
        told = {"layer": str(done.folder), "part": str(done.part), "left": done.left, "shards": done.shards}
        typer.echo(json.dumps(told, ensure_ascii=False))
        return
    typer.echo(f"part {done.part} is done, {done.left} of {done.shards} shards are left to other parts")
    typer.echo(f"written     {quoted(done.folder)}\nnext        the last part completes it")


class Stopped(KeyboardInterrupt):
    """Ctrl-C in a command that can say what is kept and how to go on.

    Attributes:
        told: message for the reader, in one line.
    """

    def __init__(self, told: str) -> None:
        super().__init__(told)
        self.told = told


def quoted(path: str | Path) -> str:
    """A path that can be copied into a shell: quoted if it holds spaces or special characters."""
    return shlex.quote(str(path))
