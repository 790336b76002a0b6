"""A tool's layer: what an OCR engine, a detector or a service of a plugin says about images."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from vila2.caption.batched_layer import Described, write_batched_layer
from vila2.caption.layer_parts import LayerPart
from vila2.data.annotations import Annotation
from vila2.data.claims import Claim
from vila2.data.evidence import Evidence
from vila2.data.layers import Layer
from vila2.data.sample import Sample, Turn
from vila2.data.shards import ShardDataset
from vila2.errors import PluginError, RecipeError, Vila2Error, one_line
from vila2.nearest import did_you_mean
from vila2.plugin.checks import load_part
from vila2.plugin.code_version import plugin_facts
from vila2.plugin.contract import Parsed, Said
from vila2.plugin.discovery import Installed
from vila2.plugin.host import Host
from vila2.plugin.parsed_answers import parsed_fault
from vila2.plugin.references import call, listed
from vila2.plugin.tools import Annotator, Seen, Tool, ToolSettings, answers_text
from vila2.progress import Progress
from vila2.recipe.file.yaml import read_setting

#: Number of images that are kept together; a tool that is killed repeats at most so many.
_BATCH = 8
#: A tool that fails for so many images in a row is broken, or its service is away.
_HOPELESS = 16
_HINT = (
    "use the same settings, or name another layer with --layer; --replace makes a finished one anew, "
    "--restart throws an unfinished one away"
)


@dataclass(frozen=True, slots=True)
class ToolInUse:
    """A tool with its settings.

    Attributes:
        plugin: plugin that brings it.
        tool: description of the tool.
        settings: its settings; None where it has none.
    """

    plugin: Installed
    tool: Tool
    settings: ToolSettings | None

    @classmethod
    def find(cls, name: str, given: Mapping[str, Any] | None = None, *, told_as: str = "--set") -> ToolInUse:
        """Finds an installed tool, without opening it.

        Args:
            name: name of its plugin.
            given: settings that differ from their defaults.
            told_as: place of the settings, for errors.

        Raises:
            PluginError: no tool of that name is installed, or it is broken.
            RecipeError: it has no such setting, or a setting does not take its value.
        """
        host = Host()
        plugin, tool = host.plugin(name), host.described(name)
        if not isinstance(tool, Tool):
            raise PluginError(f"{plugin} is no tool", hint=f"`vila2 specialize --plugin {name}` trains one")
        load_part(tool, "annotate", of=str(plugin))
        if tool.settings is None:
            if given:
                raise RecipeError(
                    f"{told_as} {next(iter(given))}: {plugin} has no settings", hint="leave it out"
                )
            return cls(plugin, tool, None)
        kind = load_part(tool, "settings", of=str(plugin))
        return cls(plugin, tool, _settings(kind, given or {}, plugin, told_as))

    def open(self) -> Annotator:
        """Opens the tool, which may load weights.

        Raises:
            PluginError: it fails, or gives something that cannot be called.
        """
        of = f"{self.plugin}, annotate"
        opened = call(load_part(self.tool, "annotate", of=str(self.plugin)), self.settings, of=of)
        if not callable(opened):
            raise PluginError(f"{of}: gave {opened!r}", hint="give a function of an image")
        return opened  # type: ignore[no-any-return]

    @property
    def job(self) -> dict[str, Any]:
        """What determines its layer, besides the images; JSON-able."""
        return {
            "plugin": plugin_facts(self.plugin),
            "tool": {
                "backend": self.tool.backend,
                "settings": self.settings.model_dump(mode="json") if self.settings else {},
            },
        }


def set_values(overrides: Sequence[str]) -> dict[str, Any]:
    """The values of changes of the form ``KEY=VALUE``.

    Raises:
        RecipeError: a change has another form.
    """
    values: dict[str, Any] = {}
    for override in overrides:
        name, equals, text = override.partition("=")
        if not equals:
            raise RecipeError(f"--set {override}: not of the form KEY=VALUE", hint="--set threshold=0.5")
        values[name] = read_setting(text, where=f"--set {override}").value
    return values


def annotate_with_tool(
    dataset: ShardDataset,
    used: ToolInUse,
    *,
    folder: Path | None = None,
    layer: str | None = None,
    select: Callable[[str], bool] | None = None,
    part: LayerPart | None = None,
    progress: Progress | None = None,
) -> Layer:
    """Lets a tool write a layer about a dataset's images.

    The job is resumable. An image for which the tool fails, or about which it says something that the
    contract does not allow, gets the status "error" and the reason.

    Args:
        dataset: dataset to annotate.
        used: tool with its settings.
        folder: folder of the layer; by default ``DATASET/layers/LAYER``.
        layer: name of the layer; by default that of the plugin.
        select: tells by key which samples to annotate; by default all.
        part: part of the shards that this process writes; by default all.
        progress: what the job reports to.

    Raises:
        DataError: a layer of this name was begun with other settings.
        OtherPartsLeft: the part is done, and other parts are not.
        PluginError: the tool cannot be opened, or fails for many images in a row.
    """
    name = layer or used.plugin.name
    return write_batched_layer(
        dataset,
        _ToolDescriber(used),
        folder=folder or dataset.folder / "layers" / name,
        layer=name,
        job=used.job,
        batch_size=max(_BATCH, used.tool.at_once),
        select=select,
        part=part,
        noted={"license": used.tool.licence},
        progress=progress,
        label="annotate",
        hint=_HINT,
    )


class _ToolDescriber:
    """Describes batches of images with a tool, which is opened for the first of them."""

    def __init__(self, used: ToolInUse) -> None:
        self._used = used
        self._annotator: Annotator | None = None
        self._failed = 0  # images that failed one after the other

    def __call__(self, batches: Iterable[Sequence[Sample]]) -> Iterator[Described]:
        for samples in batches:
            yield samples, self._batch(samples)

    def _batch(self, samples: Sequence[Sample]) -> list[list[Annotation]]:
        annotator = self._annotator = self._annotator or self._used.open()

        def described(sample: Sample) -> Annotation:
            return annotation_of(annotator, self._used, sample)

        if self._used.tool.at_once == 1:
            rows = list(map(described, samples))
        else:
            with ThreadPoolExecutor(self._used.tool.at_once) as threads:
                rows = list(threads.map(described, samples))
        for row in rows:
            self._count(row)
        return [[row] for row in rows]

    def _count(self, row: Annotation) -> None:
        self._failed = self._failed + 1 if row.status == "error" else 0
        if self._failed >= _HOPELESS:
            raise PluginError(
                f"{self._used.plugin} failed for {self._failed} images in a row, the last time: {row.detail}",
                hint="mend what it says; the same command goes on, without the layer's folder it begins anew",
            )


def annotation_of(annotator: Annotator, used: ToolInUse, sample: Sample) -> Annotation:
    """What a tool says of one image, checked; a failure is an annotation with status "error"."""
    of = f"{used.plugin}, on {sample.key}"
    try:
        evidence = Evidence.of(sample)
        seen = Seen(sample.key, sample.images, evidence.camera if evidence else None)
        parsed: Parsed = call(annotator, seen, of=of, gives=Parsed)
        turns = tuple(listed(parsed.turns or (), Turn, of=of))
        claims = tuple(listed(parsed.claims or (), Claim, of=of))
        prompt = next((turn.text for turn in turns if turn.role == "user"), "")
        said = Said(sample.key, prompt, answers_text(turns), ())
        fault = parsed_fault(replace(parsed, turns=turns, claims=claims), said, len(sample.images))
        if fault := fault or _other_kinds(claims, used.tool):
            raise PluginError(f"{of}: {fault}", hint="report it to the plugin's author")
        return Annotation(
            sample.key, prompt, said.text, parsed.status, parsed.detail, turns=turns or None, claims=claims
        )
    except Vila2Error as error:
        what = one_line(error)
        return Annotation(sample.key, "", "", "error", what if what.startswith(of) else f"{of}: {what}")


def _other_kinds(claims: Sequence[Claim], tool: Tool) -> str:
    other = sorted({claim.kind for claim in claims} - set(tool.claims))
    return f"claims of kind {other[0]!r}, which is not among its `claims`" if other else ""


def _settings(
    kind: type[ToolSettings], given: Mapping[str, Any], plugin: Installed, told_as: str
) -> ToolSettings:
    for name in given:
        if name not in kind.model_fields:
            raise RecipeError(
                f"{told_as} {name}: {plugin} has no such setting", hint=did_you_mean(name, kind.model_fields)
            )
    try:
        return kind(**given)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise RecipeError(f"{told_as} {where}: {first['msg']}", hint=f"see {plugin}") from error
