"""``vila2.export``: a dataset and its layers in the format of another trainer."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from vila2.data.layers import Layer
from vila2.data.views import View
from vila2.errors import DataError
from vila2.exports.conventions import choose_convention
from vila2.exports.exporting import FACTS, default_view, export_dataset
from vila2.exports.facts import Exported, made_of
from vila2.exports.formats import find_format
from vila2.exports.hub_push import check_push, push_folder
from vila2.exports.pushed import Pushed
from vila2.run.displays import live_progress
from vila2.run.finding import find_described, open_described


def export(
    place: Path | str,
    out: Path | str,
    *,
    to: str,
    layers: Sequence[str] = (),
    view: str = "",
    dataset: str | None = None,
    coordinates: str | None = None,
    model: str | None = None,
    question: str = "",
    license: str = "",
    despite_licenses: bool = False,
    replace: bool = False,
    push: str = "",
    private: bool = True,
    quiet: bool = True,
) -> Exported:
    """Writes a dataset and its layers as files that another trainer reads.

    Args:
        place: folder of a dataset or a run.
        out: folder to write.
        to: name of the format: ``llava``, ``sharegpt``, ``trl``, ``llama-factory``, ``ms-swift``,
            ``huggingface``, ``webdataset``, ``csv`` or ``text``.
        layers: layers whose exchanges follow each other; by default the original text.
        view: view in place of layers, such as ``tree(original,merged)``.
        dataset: dataset of the run; by default the recaptioned one.
        coordinates: how boxes and points are written (:data:`vila2.exports.conventions.CONVENTIONS`).
        model: model whose coordinates are used in place of ``coordinates``.
        question: question before texts that have none.
        license: license of the data, for the card; what a layer's terms ask for must be in it.
        despite_licenses: whether to export although the terms of a layer forbid it.
        replace: whether an earlier export in ``out`` may be replaced.
        push: USER/NAME of the dataset on the hub that the files are put into; by default nothing is sent. The
            token is that of the hub's login or of the environment.
        private: whether nobody else may see it there.
        quiet: whether to show no progress.

    Returns:
        What was written, and what was left out.

    Raises:
        DataError: a name is unknown, the view does not fit, or ``out`` holds something else.

    Example:
        >>> vila2.export("runs/mine", "out/trl", to="trl", layers=["merged"])
    """
    find_format(to)  # before the layers are read
    if push:
        check_push(push)
    if layers and view:
        raise DataError("--layer and --view both choose texts", hint="give one of them")
    shown = View.parse(view) if view else default_view(layers)
    convention = choose_convention(coordinates, model)
    opened, described = open_described(Path(place), shown.layers, dataset)
    known = {name: found for name, found in described.items() if isinstance(found, Layer)}
    with live_progress(quiet=quiet).task(f"export {to}", len(opened)) as task:
        exported = export_dataset(
            opened,
            known,
            shown,
            Path(out),
            to=to,
            convention=convention,
            sources=_merged_ones(known, find_described(Path(place), dataset)[1]),
            question=question,
            license=license,
            despite_licenses=despite_licenses,
            replace_old=replace,
            progress=task,
        )
    return dataclasses.replace(exported, pushed=_push(exported, push, private)) if push else exported


def _push(exported: Exported, name: str, private: bool) -> Pushed:
    """Puts an export on the hub; its facts do not name folders of this machine there."""
    facts = dataclasses.replace(exported, folder=Path(), use=exported.use.replace(str(exported.folder), name))
    text = json.dumps(facts.to_json(), ensure_ascii=False, indent=2)
    return push_folder(
        exported.folder,
        name,
        kind="dataset",
        private=private,
        message=f"vila2 export --to {exported.format}",
        instead={FACTS: text.encode()},
    )


def _merged_ones(shown: Mapping[str, Layer], beside: Mapping[str, Path]) -> list[Layer]:
    """Finds the layers that merged ones were made of, if they are there and have not changed since."""
    merged = {name: digest for layer in shown.values() for name, digest in made_of(layer).items()}
    found = [
        Layer.open(beside[name])
        for name in merged
        if name in beside and name not in shown and (beside[name] / "layer.json").is_file()
    ]
    return [layer for layer in found if layer.digest == merged[layer.name]]
