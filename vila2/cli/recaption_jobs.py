"""The jobs of ``vila2 recaption``: photos to a file, photos to a stream, or a layer of a dataset."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TextIO

import typer

from vila2.cli.asking import Asking
from vila2.cli.data_summary import commonest_told
from vila2.cli.options import quoted
from vila2.cli.recaption_summary import Summary, chosen_summary, photo_summary
from vila2.errors import DataError, RecipeError

if TYPE_CHECKING:
    from vila2.caption.layer_parts import LayerPart
    from vila2.caption.photo_files import PhotoList
    from vila2.data.shards import ShardDataset
    from vila2.engine.protocol import Engine
    from vila2.progress import Progress
    from vila2.recipe.parts.compute import ComputeSpec
    from vila2.recipe.parts.engine import EngineSpec

_DEFAULT_OUT = Path("captions.jsonl")
_STDOUT = ("-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")


class RecaptionJob(Protocol):
    """One of the jobs below."""

    asking: Asking
    is_stream: bool

    def check(self) -> None:
        """Checks everything that can be checked before a model is loaded.

        Raises:
            Vila2Error: something is wrong.
        """

    def do(self, engine: Engine, progress: Progress, stdout: TextIO) -> Summary:
        """Describes the images; returns the summary."""

    def when_stopped(self) -> str:
        """The message after Ctrl-C: what is kept, and how to go on."""

    def next_command(self, summary: Summary) -> str:
        """The command that is the next step, or an empty text."""


@dataclass(slots=True)
class PhotoFileJob:
    """Captions of photos in a file."""

    photos: PhotoList
    out: Path
    restart: bool
    asking: Asking
    is_stream: bool = False

    def check(self) -> None:
        from vila2.caption.photo_output import PhotoOutput

        output = PhotoOutput(self.out)
        output.check_replaceable(restart=self.restart)
        if self.asking.redo:
            output.check_begun()
            self.asking = self.asking.as_before(output.earlier() or {})
            self.asking.tell()
        elif not self.restart:
            output.check(self.asking.known)
        if self.out.suffix.lower() in (".csv", ".tsv", ".parquet", ".xlsx", ".txt"):
            typer.echo(f"note: {self.out} gets JSON lines, whatever its name", err=True)

    def do(self, engine: Engine, progress: Progress, stdout: TextIO) -> Summary:
        from vila2.caption.photos import recaption_photos

        summary = recaption_photos(
            self.photos,
            engine,
            out=self.out,
            prompts=self.asking.prompts,
            settings=self.asking.settings,
            seed=self.asking.seed,
            batch_size=self.asking.batch_size,
            limit=self.asking.limit,
            restart=self.restart,
            redo=self.asking.redo,
            chooser=self.asking.chooser,
            progress=progress,
        )
        return photo_summary(summary, str(self.out))

    def when_stopped(self) -> str:
        less = " without --restart" if self.restart else ""
        if self.asking.redo:
            return f"{quoted(self.out)} is as it was, new captions wait beside it; the same command goes on"
        return f"what was written stays in {quoted(self.out)}; the same command goes on{less}"

    def next_command(self, summary: Summary) -> str:
        if not summary["captions"]:
            return ""
        return f"vila2 data import captions {quoted(self.out)} --out {quoted(Path('data') / self.out.stem)}"


@dataclass(slots=True)
class PhotoStreamJob:
    """Captions of photos to standard output, a pipe or a device."""

    photos: PhotoList
    out: Path
    asking: Asking
    is_stream: bool = True

    def check(self) -> None:
        if self.asking.redo:
            raise RecipeError("--redo needs the file that holds the captions", hint="give it with --out FILE")

    def do(self, engine: Engine, progress: Progress, stdout: TextIO) -> Summary:
        if str(self.out) in _STDOUT:
            return self._write(engine, progress, stdout)
        with self.out.open("w", encoding="utf-8") as stream:
            return self._write(engine, progress, stream)

    def _write(self, engine: Engine, progress: Progress, stream: TextIO) -> Summary:
        from vila2.caption.photos import stream_captions

        summary = stream_captions(
            self.photos,
            engine,
            stream,
            prompts=self.asking.prompts,
            settings=self.asking.settings,
            seed=self.asking.seed,
            batch_size=self.asking.batch_size,
            limit=self.asking.limit,
            chooser=self.asking.chooser,
            tell=lambda line: typer.echo(f"rejected: {line}", err=True),
            progress=progress,
        )
        return photo_summary(summary, str(self.out))

    def when_stopped(self) -> str:
        return "nothing is kept of a stream; with --out FILE the same command goes on where it was stopped"

    def next_command(self, summary: Summary) -> str:
        return ""


@dataclass(slots=True)
class LayerJob:
    """A layer of a dataset.

    Attributes:
        place: folder of the dataset, or of a run.
        name: name of the run's dataset; None for the recaptioned one.
        dataset: dataset.
        folders: folders of its layers by name.
        layer: name of the layer.
        asking: how it is asked.
        part: part of the layer that this process writes; None for all.
        is_stream: false; the layer is files.
    """

    place: Path
    name: str | None
    dataset: ShardDataset
    folders: Mapping[str, Path]
    layer: str
    asking: Asking
    part: LayerPart | None = None
    is_stream: bool = False

    @property
    def folder(self) -> Path:
        """The folder of the layer."""
        return self.dataset.folder / "layers" / self.layer

    def check(self) -> None:
        from vila2.caption.batched_layer import describe_selection
        from vila2.caption.layer_redo import open_for_redo
        from vila2.caption.photo_output import check_folder_writable
        from vila2.caption.recaption import check_layer
        from vila2.run.finding import folder_of_new_layer

        folder_of_new_layer(self.place, self.dataset, self.folders, self.layer)
        if self.asking.redo:
            if self.part is not None:
                raise RecipeError("--redo asks about a whole layer", hint="leave --part out")
            self._check_known()
            info = open_for_redo(self.dataset, self.folder).info
            self.asking = self.asking.as_before(info)
            self.asking.tell()
            return
        about = {"layer": self.layer, "dataset": self.dataset.digest}
        selection = {"selection": describe_selection(self.dataset, self._select())}
        check_layer(self.folder, self.asking.known | about | selection)
        check_folder_writable(self.folder, hint="copy the dataset to a folder of yours")

    def do(self, engine: Engine, progress: Progress, stdout: TextIO) -> Summary:
        from vila2.caption.layer_redo import redo_layer
        from vila2.caption.recaption import recaption as recaption_dataset
        from vila2.caption.several_samples import count_choices

        asked: dict[str, Any] = {
            "folder": self.folder,
            "prompts": self.asking.prompts,
            "settings": self.asking.settings,
            "seed": self.asking.seed,
            "batch_size": self.asking.batch_size,
            "select": self._select(),
            "chooser": self.asking.chooser,
            "progress": progress,
        }
        redone, new = 0, 0
        if self.asking.redo:
            layer, redone = redo_layer(self.dataset, engine, statuses=self.asking.redo, **asked)
        else:
            was_there = (self.folder / "layer.json").exists()
            layer = recaption_dataset(self.dataset, engine, layer=self.layer, part=self.part, **asked)
            new = 0 if was_there else layer.count
        found = layer.statistics()
        return {
            "written": str(self.folder),
            "samples": len(self.dataset),
            "new": new,
            "redone": redone,
            "without_image": layer.info.get("without_image", 0),
            "captions": found.count,
            "statuses": found.statuses,
            "words_mean": round(found.words_mean, 2),
            "words_sd": round(found.words_sd, 2),
            "commonest": commonest_told(found),
            **chosen_summary(count_choices(layer.rows())),
        }

    def do_on(
        self,
        cluster: ComputeSpec,
        engine: EngineSpec,
        model: str,
        options: Mapping[str, Any],
        progress: Progress,
    ) -> Summary:
        """Lets a cluster write the layer; returns the summary."""
        from vila2.compute.cluster_jobs import write_layer
        from vila2.compute.ray_cluster import joined

        write = partial(_write_part, self.place, self.name, self.layer, self.asking, engine, model, options)
        with joined(cluster) as workers:
            summary: Summary = write_layer(workers, self.dataset, self.folder, write, progress)["summary"]
        return summary

    def when_stopped(self) -> str:
        return f"what was written stays in {quoted(self.folder)}; the same command goes on"

    def next_command(self, summary: Summary) -> str:
        return f"vila2 data stats {quoted(self.place)}"

    def _select(self) -> Callable[[str], bool] | None:
        from vila2.caption.batched_layer import first_keys

        return first_keys(self.dataset, self.asking.limit)

    def _check_known(self) -> None:
        from vila2.nearest import did_you_mean

        if self.layer not in self.folders:
            raise DataError(
                f"{self.place} has no layer {self.layer!r}", hint=did_you_mean(self.layer, self.folders)
            )


def _write_part(
    place: Path,
    dataset: str | None,
    layer: str,
    asking: Asking,
    engine: EngineSpec,
    model: str,
    options: Mapping[str, Any],
    part: LayerPart | None,
    progress: Progress,
) -> dict[str, Summary]:
    """Writes a part of a layer, in a worker."""
    from vila2.engine.registry import open_engine
    from vila2.run.finding import find_described

    job = LayerJob(place, dataset, *find_described(place, dataset), layer, asking, part)
    opened = open_engine(engine, model, **options)
    summary = job.do(opened, progress, sys.stdout)
    summary["model"] = opened.name
    return {"summary": summary}


def open_job(
    photos: Sequence[Path],
    lists: Sequence[Path],
    asking: Asking,
    *,
    out: Path | None,
    layer: str | None,
    dataset: str | None,
    part: LayerPart | None,
    restart: bool,
    progress: Progress,
) -> RecaptionJob:
    """Makes the job for the given places and options. For a layer, a folder of photos becomes a dataset.

    Raises:
        DataError: a place does not exist or has no images.
        RecipeError: options contradict each other or do not fit the place.
    """
    from vila2.caption.photo_files import find_photos
    from vila2.data.layers import check_layer_name
    from vila2.run.finding import find_described, has_tars, is_described
    from vila2.specialist.photo_dataset import dataset_of_photos

    if not photos and not lists:
        raise RecipeError(
            "nothing to describe", hint="give a folder of images, an image, a dataset, or --list FILE"
        )
    if restart and asking.redo:
        raise RecipeError("--restart deletes the captions that --redo keeps", hint="give one of the two")
    described = [place for place in photos if is_described(place) or (layer is not None and has_tars(place))]
    if described:
        place = described[0]
        if len(photos) > 1 or lists:
            raise RecipeError(f"{place} is a dataset, which is described alone", hint="one dataset at a time")
        if layer is None or out is not None or restart:
            raise RecipeError(
                f"{place} is a dataset: captions become a layer of it",
                hint="give --layer NAME (such as self-1), and neither --out nor --restart",
            )
        return LayerJob(place, dataset, *find_described(place, dataset), layer, asking, part)
    if part is not None:
        raise RecipeError(
            f"--part {part}: only the shards of a dataset are shared out",
            hint="make one of the photos with `vila2 data import`",
        )
    if layer is not None:
        if len(photos) != 1 or lists or dataset is not None or restart:
            raise RecipeError(
                f"--layer {layer} is about one folder of photos, which becomes a dataset",
                hint="give one folder, and neither --list, --dataset nor --restart",
            )
        check_layer_name(layer)
        opened = dataset_of_photos(photos[0], out, progress)
        return LayerJob(opened.folder, None, *find_described(opened.folder), layer, asking)
    listed = find_photos(photos, lists=lists, stdin=sys.stdin.buffer)
    if dataset is not None:
        raise RecipeError(
            f"{listed.name} is no dataset, so it has no dataset {dataset!r}",
            hint="leave --dataset out, or name a run",
        )
    target = out or _DEFAULT_OUT
    if is_stream(target):
        return PhotoStreamJob(listed, target, asking)
    if target.is_symlink():
        target = target.resolve()  # the file is replaced as a whole, and the link must stay
    return PhotoFileJob(listed, target, restart, asking)


def is_stream(out: Path) -> bool:
    """Whether the output cannot be read again: standard output, a pipe, or a device."""
    return str(out) in _STDOUT or (out.exists() and not out.is_file() and not out.is_dir())
