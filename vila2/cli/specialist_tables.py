"""The part of a dry run about a specialist: its data, its training and the reasons, memory, disk and time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import typer

from vila2.cli.amounts import byte_size, one_line


def print_specialist(name: str, found: Mapping[str, Any]) -> None:
    """Prints what :func:`vila2.specialist.specialist_forecast.forecast` found."""
    data = found["data"]
    typer.echo(f"\nspecialist {name}: built from {data['from']}")
    much = "all of it" if data["all"] else "its beginning"
    samples = _counts(data["samples"])
    typer.echo(f"  looked at {much}: {samples}; rejected: {_counts(data['rejected']) or 'none'}")
    for example in data["examples"]:
        typer.echo(f"    {example}")
    about = "" if data["all"] else "about "
    expected = "unknown" if data["expected"] is None else f"{about}{data['expected']:,}"
    typer.echo(f"  samples in all: {expected}")
    for stage, settings in found["stages"].items():
        trained, parameters = settings["parameters_trained"], settings["parameters"]
        count = "unknown" if settings["samples"] is None else f"{settings['samples']:,}"
        typer.echo(f"  stage {stage}: {settings['why']}")
        typer.echo(
            f"    trains {' and '.join(settings['train'])}: {trained:,} parameters (the model has "
            f"{parameters:,}); "
            f"batch {settings['batch_size']}, epochs {settings['epochs']:g}, samples of one epoch: {count}"
        )
        if sample := found.get("samples", {}).get(stage):
            typer.echo(
                f"    first sample of {sample['dataset']}, {sample['tokens']} tokens, "
                f"{sample['trained_tokens']} of them counted by the loss"
            )
            typer.echo(f"      the model reads  {one_line(sample['text'])}")
            typer.echo(f"      the loss counts  {one_line(sample['trained_text'])}")
        if memory := found.get("memory", {}).get(stage):
            typer.echo(f"    memory of a device: {_sizes(memory)}")
        took = found["time"][stage]
        typer.echo(f"    time of training: {_duration(took['seconds'])} ({took['from']})")
    needed = sum(size or 0 for size in found["disk"].values())
    small = ": too little, make room or name another disk with --out" if needed > found["free"] else ""
    typer.echo(f"  disk: {_sizes(found['disk'])}; {byte_size(found['free'])} are free{small}")


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.items())


def _sizes(sizes: Mapping[str, int | None]) -> str:
    known = [size for size in sizes.values() if size is not None]
    more = "" if len(known) == len(sizes) else "over "
    shown = ", ".join(f"{name} {byte_size(size)}" for name, size in sizes.items())
    return f"{more}{byte_size(sum(known))} ({shown})"


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "unknown"
    for length, unit in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * length:
            return f"about {seconds / length:.0f} {unit}"
    return f"about {max(seconds, 1):.0f} s"
