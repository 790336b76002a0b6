"""``vila2 recaption``: captions for a folder of images, or a caption layer for a dataset."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from vila2.caption.engine import Engine, GenerationSettings
    from vila2.run.progress import Progress


def recaption(
    photos: Annotated[
        Path, typer.Argument(metavar="PHOTOS", help="Folder of images (any depth), or of a dataset.")
    ],
    model: Annotated[str, typer.Option("--model", "-m", help="Hugging Face id or folder of a model.")],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Captions file of an image folder.")] = None,
    layer: Annotated[str | None, typer.Option("--layer", help="Layer to write, for a dataset.")] = None,
    prompt: Annotated[
        list[str] | None,
        typer.Option("--prompt", "-p", help="simple, long-v1, long-v2, long-v3, or a text; may be repeated."),
    ] = None,
    batch_size: Annotated[int, typer.Option("--batch-size", "-b", min=1, help="Images at a time.")] = 8,
    max_new_tokens: Annotated[int, typer.Option("--max-new-tokens", min=1, help="Longest caption.")] = 512,
    temperature: Annotated[float, typer.Option("--temperature", min=0, help="0: likeliest words.")] = 0.0,
    top_p: Annotated[float, typer.Option("--top-p", help="Sample from this share of probability.")] = 1.0,
    repetition_penalty: Annotated[float, typer.Option("--repetition-penalty", help="1: none.")] = 1.0,
    seed: Annotated[int, typer.Option("--seed", help="Of the choice of prompts, and of sampling.")] = 0,
    device: Annotated[str | None, typer.Option("--device", help="cpu, cuda, cuda:1, mps.")] = None,
    dtype: Annotated[str | None, typer.Option("--dtype", help="float32, bfloat16 or float16.")] = None,
    engine_name: Annotated[
        str, typer.Option("--engine", help="What generates; a plugin may bring others.")
    ] = "transformers",
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Only the first so many.")] = None,
    restart: Annotated[bool, typer.Option("--restart", help="Throw earlier captions of --out away.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
    trust_remote_code: Annotated[
        bool, typer.Option("--trust-remote-code", help="Run code that comes with the model.")
    ] = False,
) -> None:
    """Describe images with a visual language model, resumable at any moment.

    PHOTOS with plain images: one JSON line per image goes to --out (default: captions.jsonl). A
    dataset: its layer DATASET/layers/NAME is written. By default each image gets one of the paper's
    three long prompts, chosen by its name and the seed.
    """
    from vila2.caption.engine import GenerationSettings
    from vila2.caption.prompts import DEFAULT_PROMPTS
    from vila2.run.progress import live_progress

    prompts = tuple(prompt or DEFAULT_PROMPTS)
    settings = GenerationSettings(max_new_tokens, temperature, top_p, repetition_penalty, seed)
    job = _Job(photos, prompts, settings, seed, batch_size, limit)
    is_dataset = _check_place(photos, out, layer, restart)
    target = photos / "layers" / str(layer) if is_dataset else out or Path("captions.jsonl")
    job.check(target, is_dataset, restart)
    engine = _load_engine(engine_name, model, device=device, dtype=dtype, trust_remote_code=trust_remote_code)
    started = time.perf_counter()
    try:
        write = job.write_layer if is_dataset else job.write_captions
        summary = write(engine, target, restart, live_progress())
    except KeyboardInterrupt:
        typer.echo(f"\nwhat was written stays in {target}", err=True)
        raise
    summary["seconds"] = round(time.perf_counter() - started, 2)
    summary["model"] = engine.name
    typer.echo(json.dumps(summary, ensure_ascii=False) if as_json else _as_text(summary))


@dataclass(frozen=True, slots=True)
class _Job:
    photos: Path
    prompts: tuple[str, ...]
    settings: GenerationSettings
    seed: int
    batch_size: int
    limit: int | None

    def check(self, target: Path, is_dataset: bool, restart: bool) -> None:
        """Fails before the model is loaded where the prompts are wrong, or an earlier job's settings differ."""
        from vila2.caption.job import describe_settings
        from vila2.caption.photos import PhotoOutput
        from vila2.caption.recaption import check_layer

        known = describe_settings(self.prompts, self.settings, self.seed)
        if is_dataset:
            check_layer(target, known)
        elif not restart:
            PhotoOutput(target).check(known)

    def write_captions(self, engine: Engine, out: Path, restart: bool, progress: Progress) -> dict[str, Any]:
        from vila2.caption.photos import recaption_photos

        summary = recaption_photos(
            self.photos,
            engine,
            out=out,
            prompts=self.prompts,
            settings=self.settings,
            seed=self.seed,
            batch_size=self.batch_size,
            limit=self.limit,
            restart=restart,
            progress=progress,
        )
        return {
            "written": str(out),
            "captions": summary.count,
            "new": summary.new,
            "statuses": summary.statuses,
            "words_mean": round(summary.words_mean, 2),
            "words_sd": round(summary.words_sd, 2),
            "rejected": summary.rejected,
            "rejected_file": str(summary.rejected_file) if summary.rejected_file else None,
            "other_files": summary.other_files,
        }

    def write_layer(self, engine: Engine, folder: Path, restart: bool, progress: Progress) -> dict[str, Any]:
        from vila2.caption.recaption import recaption as recaption_dataset
        from vila2.data.shards import ShardDataset

        dataset = ShardDataset.open(self.photos)
        chosen = None if self.limit is None else frozenset(dataset.keys()[: self.limit])
        layer = recaption_dataset(
            dataset,
            engine,
            folder=folder,
            layer=folder.name,
            prompts=self.prompts,
            settings=self.settings,
            seed=self.seed,
            batch_size=self.batch_size,
            select=None if chosen is None else chosen.__contains__,
            progress=progress,
        )
        found = layer.statistics()
        return {
            "written": str(folder),
            "captions": found.count,
            "statuses": found.statuses,
            "words_mean": round(found.words_mean, 2),
            "words_sd": round(found.words_sd, 2),
            "without_image": layer.info.get("without_image", 0),
        }


def _check_place(photos: Path, out: Path | None, layer: str | None, restart: bool) -> bool:
    """Whether ``photos`` is a dataset; raises where the options do not fit it."""
    from vila2.data.layers import check_layer_name
    from vila2.errors import DataError, RecipeError

    if not photos.is_dir():
        raise DataError(f"{photos}: no such folder", mend="give a folder of images, or a dataset's folder")
    if (photos / "dataset.json").exists():
        if layer is None or out is not None or restart:
            raise RecipeError(
                f"{photos} is a dataset: captions become a layer of it",
                mend="give --layer NAME (such as self-1), and neither --out nor --restart",
            )
        check_layer_name(layer)
        return True
    if layer is not None:
        raise RecipeError(
            f"{photos} is no dataset, so it has no layers",
            mend="leave --layer out, or make a dataset with `vila2 data import`",
        )
    return False


def _load_engine(name: str, model: str, **options: Any) -> Engine:
    from vila2.caption.engines import open_engine

    if name != "transformers":  # an option that was not given is no business of another engine
        options = {key: value for key, value in options.items() if value not in (None, False)}
    return open_engine(name, model, **options)


def _as_text(summary: dict[str, Any]) -> str:
    new = summary.get("new", summary["captions"])
    rate = new / summary["seconds"] if summary["seconds"] else 0.0
    statuses = ", ".join(f"{count} {status}" for status, count in summary["statuses"].items()) or "none"
    lines = [
        f"captions   {summary['captions']} ({statuses})",
        f"words      {summary['words_mean']:.1f} ± {summary['words_sd']:.1f} per usable caption",
        f"rate       {rate:.2f} images/s ({new} in {summary['seconds']:.1f} s)",
    ]
    if summary.get("rejected"):
        lines.append(f"rejected   {summary['rejected']} images could not be read: {summary['rejected_file']}")
    if summary.get("without_image"):
        lines.append(f"left alone {summary['without_image']} samples without an image")
    if summary.get("other_files"):
        lines.append(f"left out   {summary['other_files']} files that are no images")
    return "\n".join([*lines, f"written    {summary['written']}"])
