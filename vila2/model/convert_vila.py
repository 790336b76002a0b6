"""Checkpoints of VILA-1.5 and NVILA (NVlabs) as models of our family.

They are folders with ``llm/``, ``vision_tower/`` and ``mm_projector/``, each with its own configuration. The
first two are assembled as always; the projector's weights are renamed: theirs number the layers with a
layer in front that joins the patches and has no weights.
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
    """Reads a checkpoint of VILA-1.5 or NVILA.

    Args:
        folder: a clone of the checkpoint's repository.
        dtype: of all weights.
        chat_template: a Jinja template, for checkpoints that leave it to their code (Vicuna).

    Raises:
        ModelError: not such a checkpoint, or one with settings that the family does not have.
    """
    root = Path(folder).expanduser()
    missing = [part for part in _PARTS if not (root / part / "config.json").is_file()]
    if missing:
        raise ModelError(
            f"{root} is no checkpoint of VILA: {missing[0]}/config.json is missing",
            hint=f"give the folder with {', '.join(part + '/' for part in _PARTS)}",
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
    """Whether NVILA's code wrote it: since then tokens stand row by row, and a newline behind every image."""
    return "image_encoder" in theirs


def _projector_name(settings: Mapping[str, Any], theirs: Mapping[str, Any]) -> str:
    name = settings.get("mm_projector_type")
    if name == "mlp_downsample" and _is_nvila(theirs):
        return "mlp_downsample_2x2_fix"
    if name not in PROJECTORS:
        raise ModelError(
            f"the checkpoint's projector {name!r} is unknown", hint=f"known are {', '.join(PROJECTORS)}"
        )
    return name


def _tiling(theirs: Mapping[str, Any]) -> dict[str, Any]:
    """Their settings for several tiles and resolutions, as ours."""
    shown = theirs.get("image_aspect_ratio") or "resize"
    if shown not in ("resize", "dynamic", "dynamic_s2"):
        raise ModelError(
            f"image_aspect_ratio {shown!r} is not supported: images would look different to the model",
            hint="set it to resize in the checkpoint's config.json, if squeezed images will do",
        )
    sides = _scales(theirs)
    if any(side % sides[0] for side in sides):
        raise ModelError(
            f"s2_scales {sides} are no multiples of the first", hint="such a checkpoint cannot be converted"
        )
    scales = [side // sides[0] for side in sides] or [1]
    return {"s2_scales": scales, "max_tiles": 1 if shown == "resize" else theirs.get("max_tiles", 12)}


def _scales(theirs: Mapping[str, Any]) -> list[int]:
    """The sides of S²'s resolutions in pixels, where the checkpoint was trained with S²."""
    if not (theirs.get("s2") or theirs.get("dynamic_s2")):
        return []
    scales = theirs["s2_scales"]
    sides = sorted(map(int, scales.split(",") if isinstance(scales, str) else scales))
    # Ours: S² joins at the first scale, from tiles of its size; dynamic S² at the last one.
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
    """Refuses to leave out a class token that the checkpoint was trained with."""
    without_class_token = ("siglip_vision_model", "siglip2_vision_model")
    kind = model.config.vision_config.model_type
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
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"cannot read {path}: {error}", hint="download the checkpoint anew") from error
