"""Converts checkpoints of VILA-1.5 and NVILA (NVlabs) to models of our family.

Such a checkpoint is a folder with ``llm/``, ``vision_tower/`` and ``mm_projector/``, each with its own
configuration. The first two are assembled as usual. The projector's weights are renamed, since in VILA's
numbering the first layer is one that joins the patches and has no weights.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from vila2.errors import ModelError
from vila2.model.assemble import assemble
from vila2.model.checkpoint_files import check_safetensors
from vila2.model.modeling import Vila2ForConditionalGeneration
from vila2.model.processing import Vila2Processor
from vila2.model.projectors import PROJECTORS
from vila2.model.resolution import set_image_size
from vila2.model.weights import fit_state

_PARTS = ("llm", "vision_tower", "mm_projector")


def convert_vila(
    folder: str | Path, *, dtype: str | torch.dtype = "bfloat16", chat_template: str | None = None
) -> tuple[Vila2ForConditionalGeneration, Vila2Processor]:
    """Converts a checkpoint of VILA-1.5 or NVILA.

    Args:
        folder: clone of the checkpoint's repository.
        dtype: data type of all weights.
        chat_template: Jinja template, for checkpoints whose template is in their code (Vicuna).

    Raises:
        ModelError: another kind of checkpoint, or one with settings that the family does not support.
    """
    root = Path(folder).expanduser()
    missing = [part for part in _PARTS if not (root / part / "config.json").is_file()]
    if missing:
        raise ModelError(
            f"{root} is not a checkpoint of VILA: {missing[0]}/config.json is missing",
            hint=f"give the folder that has {', '.join(part + '/' for part in _PARTS)}",
        )
    theirs = _read(root / "config.json")
    projector = _projector_name(_read(root / "mm_projector" / "config.json"), theirs)
    model, processor = assemble(
        root / "vision_tower",
        root / "llm",
        projector=projector,
        vision_feature_layer=theirs.get("mm_vision_select_layer", -2),
        dtype=dtype,
        chat_template=chat_template,
        **_tiling(theirs),
    )
    _check_features(theirs, model)
    _load_projector(model, root / "mm_projector")
    if _is_nvila(theirs):
        processor.image_end = "\n"
    side = _scales(theirs)[0] if _scales(theirs) else None
    if side and [side, side] != list(processor.image_size):
        set_image_size(model, processor, side)
    return model, processor


def _is_nvila(theirs: Mapping[str, Any]) -> bool:
    """Whether NVILA's code wrote it. Its tokens come row by row, with a newline after every image."""
    return "image_encoder" in theirs


def _projector_name(settings: Mapping[str, Any], theirs: Mapping[str, Any]) -> str:
    name = str(settings.get("mm_projector_type"))
    if name == "mlp_downsample" and _is_nvila(theirs):
        return "mlp_downsample_2x2_fix"
    if name not in PROJECTORS:
        raise ModelError(
            f"the checkpoint's projector {name!r} is unknown", hint=f"known are {', '.join(PROJECTORS)}"
        )
    return name


def _tiling(theirs: Mapping[str, Any]) -> dict[str, Any]:
    """Translates their settings of tiles and resolutions to ours."""
    shown = theirs.get("image_aspect_ratio") or "resize"
    if shown not in ("resize", "dynamic", "dynamic_s2"):
        raise ModelError(
            f"image_aspect_ratio {shown!r} is not supported: images would look different to the model",
            hint="set it to resize in the checkpoint's config.json, if squeezed images are acceptable",
        )
    sides = _scales(theirs)
    if any(side % sides[0] for side in sides):
        raise ModelError(
            f"s2_scales {sides} are not multiples of the first", hint="such a checkpoint cannot be converted"
        )
    scales = [side // sides[0] for side in sides] or [1]
    return {"s2_scales": scales, "max_tiles": 1 if shown == "resize" else theirs.get("max_tiles", 12)}


def _scales(theirs: Mapping[str, Any]) -> list[int]:
    """The sides of S²'s resolutions in pixels; empty if the checkpoint was trained without S²."""
    if not (theirs.get("s2") or theirs.get("dynamic_s2")):
        return []
    scales = theirs["s2_scales"]
    sides = sorted(map(int, scales.split(",") if isinstance(scales, str) else scales))
    # We support S² that joins at the first scale, from tiles of its size, and dynamic S² that joins at the
    # last.
    dynamic = bool(theirs.get("dynamic_s2"))
    expected = {"s2_resize_output_to_scale_idx": {-1, len(sides) - 1} if dynamic else {0}}
    expected |= {} if dynamic else {"s2_max_split_size": {sides[0]}}
    for key, values in expected.items():
        if theirs.get(key) is not None and theirs[key] not in values:
            raise ModelError(
                f"{key} {theirs[key]} is not supported", hint="such a checkpoint cannot be converted"
            )
    return sides


def _check_features(theirs: Mapping[str, Any], model: Vila2ForConditionalGeneration) -> None:
    """Refuses a checkpoint that was trained with the class token, which the family leaves out."""
    without_class_token = ("siglip_vision_model", "siglip2_vision_model")
    kind = model.config.vision.model_type
    if theirs.get("mm_vision_select_feature") == "cls_patch" and kind not in without_class_token:
        raise ModelError(
            f"the checkpoint reads the class token of {kind!r}, which the family leaves out",
            hint="convert a checkpoint with mm_vision_select_feature: patch",
        )


def _load_projector(model: Vila2ForConditionalGeneration, folder: Path) -> None:
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise ModelError(
            f"{folder} has no safetensors weights", hint="take a revision of the checkpoint that has them"
        )
    ours = model.model.multi_modal_projector
    shift = 1 if ours.side > 1 else 0
    for file in files:
        check_safetensors(file)
    renamed = {
        re.sub(r"^layers\.(\d+)\.", lambda hit: f"layers.{int(hit.group(1)) - shift}.", name): value
        for file in files
        for name, value in load_file(file).items()
    }
    hint = "check mm_projector_type in its config.json"
    fit_state(ours, renamed, what=f"projector ({model.config.projector})", name=folder, hint=hint)


def _read(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"cannot read {path}: {error}", hint="download the checkpoint again") from error
    return found
