"""``vila2 recaption``: writes captions of photos, or a layer of captions for a dataset."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from vila2.cli.options import (
    Device,
    Dtype,
    EngineOptions,
    ModelEngine,
    PartOption,
    Quiet,
    Ray,
    RayWorkers,
    RepetitionPenalty,
    RunDataset,
    Stopped,
    Temperature,
    TopP,
    TrustRemoteCode,
    Verbose,
    chosen_cluster,
    chosen_engine,
    given,
    results_alone,
    show_part,
)
from vila2.errors import RecipeError


def recaption(
    context: typer.Context,
    photos: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[PHOTOS]...",
            help="Folders of images (at any depth; links are followed) and single images; or the folder of a "
            "dataset; or that of a run, for its recaptioned dataset.",
            show_default=False,
        ),
    ] = None,
    model: Annotated[
        str,
        typer.Option(
            "--model",
            "-m",
            help="Hub id, folder of a model or of a finished run, or builtin:miniature for rendered scenes.",
        ),
    ] = ...,  # type: ignore[assignment]
    lists: Annotated[
        list[Path] | None,
        typer.Option(
            "--list",
            metavar="FILE",
            help="File of image paths, one per line or with NUL between them; - reads standard input. May be "
            "repeated.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="File of JSON lines for the captions of images; by default captions.jsonl. - writes to "
            "standard output. With --layer, folder of the dataset that photos become; by default "
            "PHOTOS-dataset.",
            show_default=False,
        ),
    ] = None,
    layer: Annotated[
        str | None,
        typer.Option(
            "--layer", help="Name of the layer to write; a folder of photos becomes a dataset for it."
        ),
    ] = None,
    dataset: RunDataset = None,
    prompt: Annotated[
        list[str] | None,
        typer.Option(
            "--prompt", "-p", help="Prompt: simple, long-v1, long-v2, long-v3, or a text. May be repeated."
        ),
    ] = None,
    batch_size: Annotated[
        int, typer.Option("--batch-size", "-b", min=1, help="Number of images to caption at a time.")
    ] = 8,
    max_new_tokens: Annotated[
        int, typer.Option("--max-new-tokens", min=1, help="Number of tokens of a caption at most.")
    ] = 512,
    temperature: Temperature = 0.0,
    top_p: TopP = 1.0,
    repetition_penalty: RepetitionPenalty = 1.0,
    choose: Annotated[
        str,
        typer.Option(
            "--choose",
            metavar="[first|agreement]",
            help="first: an image gets one caption. agreement: of several samples, those that contradict "
            "themselves apart, the one that the others agree with most is kept.",
        ),
    ] = "first",
    samples: Annotated[
        int, typer.Option("--samples", min=2, help="Number of samples of each caption, with --choose.")
    ] = 9,
    sample_temperature: Annotated[
        float,
        typer.Option("--sample-temperature", help="Temperature of the samples after the first; above 0."),
    ] = 0.7,
    seed: Annotated[int, typer.Option("--seed", help="Seed for the choice of prompts and for sampling.")] = 0,
    device: Device = None,
    dtype: Dtype = None,
    engine_name: ModelEngine = None,
    engine_options: EngineOptions = None,
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit",
            min=1,
            help="Number of images at most, the first by name; images that have a caption already count.",
        ),
    ] = None,
    redo: Annotated[
        str | None,
        typer.Option(
            "--redo",
            metavar="STATUS,...",
            help="Ask again only for the captions with these marks: truncated, empty, repetition, refusal, "
            "error. Settings that are not given are as before, and all other captions stay.",
            show_default=False,
        ),
    ] = None,
    part: PartOption = None,
    ray: Ray = None,
    workers: RayWorkers = None,
    restart: Annotated[bool, typer.Option("--restart", help="Delete the earlier captions in --out.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the summary as JSON (on standard error with --out -).")
    ] = False,
    trust_remote_code: TrustRemoteCode = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Describe images with a visual language model; it can be stopped and continued at any time.

    For images, --out gets one JSON line each, with the image's path relative to that file. The same command
    continues after a stop, even if the folder has moved. With --layer, DATASET/layers/NAME is written, for
    `vila2 merge`, `vila2 browse` and `vila2 export`. By default each image gets one of the paper's three long
    prompts, chosen by its name and the seed.
    """
    from vila2.caption.layer_parts import LayerPart, OtherPartsLeft
    from vila2.cli.asking import Asking
    from vila2.cli.recaption_jobs import LayerJob, open_job
    from vila2.cli.recaption_summary import summary_text
    from vila2.engine.registry import open_engine
    from vila2.run.displays import live_progress

    cluster = chosen_cluster(ray, workers, {"--part": part, "--redo": redo, "--restart": restart})
    asking = Asking.of(_asked(context), batch_size, limit, redo)
    progress = live_progress(quiet=quiet)
    with results_alone():
        job = open_job(
            photos or [],
            lists or [],
            asking,
            out=out,
            layer=layer,
            dataset=dataset,
            part=LayerPart.parse(part) if part else None,
            restart=restart,
            progress=progress,
        )
    if cluster is not None and not isinstance(job, LayerJob):
        raise RecipeError(
            "--ray: only the shards of a dataset are shared out", hint="give --layer NAME; photos become one"
        )
    job.check()
    stdout, started = sys.stdout, time.perf_counter()
    try:
        with results_alone():
            options = given(device=device, dtype=dtype, trust_remote_code=trust_remote_code)
            chosen = chosen_engine(engine_name, engine_options)
            if cluster is not None and isinstance(job, LayerJob):
                summary = job.do_on(cluster, chosen, model, options, progress)
            else:
                engine = open_engine(chosen, model, **options)
                started = time.perf_counter()
                summary = job.do(engine, progress, stdout)
                summary["model"] = engine.name
    except KeyboardInterrupt:
        raise Stopped(job.when_stopped()) from None
    except OtherPartsLeft as others:
        show_part(others, as_json=as_json)
        return
    summary["seconds"] = round(time.perf_counter() - started, 2)
    summary["next"] = job.next_command(summary)
    text = (
        json.dumps(summary, ensure_ascii=False)
        if as_json
        else summary_text(summary, job.asking, is_stream=job.is_stream)
    )
    typer.echo(text, err=job.is_stream)


#: Options that a redo takes from the earlier job where they are not given.
_ASKED = frozenset(
    {"prompt", "max_new_tokens", "temperature", "top_p", "repetition_penalty", "seed"}
    | {"choose", "samples", "sample_temperature"}
)


def _asked(context: typer.Context) -> dict[str, Any]:
    """The options of asking that are on the command line."""
    return {
        name: context.params[name]
        for name in _ASKED
        if context.get_parameter_source(name).name != "DEFAULT"  # type: ignore[union-attr]
    }
