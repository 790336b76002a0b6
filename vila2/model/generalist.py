"""Loads any image-text-to-text model with its processor, and identifies it by a digest."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import torch
from torch import nn
from transformers import (
    AutoConfig,
    AutoModelForImageTextToText,
    AutoProcessor,
    PreTrainedConfig,
    PreTrainedModel,
    ProcessorMixin,
)
from transformers.utils.import_utils import is_torchvision_available

import vila2.model.modeling
import vila2.model.processing  # noqa: F401 - the family must be known, whoever imported transformers first
from vila2.errors import ModelError
from vila2.model.checkpoint_files import check_processor_files
from vila2.model.digest import digest_folder
from vila2.model.images_only import attributes_of, images_only, processor_class
from vila2.model.kinds import refuse_encoder_decoder
from vila2.model.loading import Location, loading, locate
from vila2.model.parts import parts_of
from vila2.model.vocabulary_fit import check_image_token, check_vocabulary
from vila2.model.weights import POOLING, load_weights

__all__ = ["Generalist", "load_generalist", "parts_of"]


#: Pattern of weights that many checkpoints lack. Only the pooled vector of an image needs them, not patch
#: features.
UNUSED = rf"vision.*{POOLING}"


@dataclass(frozen=True, slots=True)
class Generalist:
    """A loaded model.

    Attributes:
        model: model in eval mode.
        processor: the model's own processor.
        name: hub id, or name of the folder.
        digest: text that changes with weights, settings or tokenizer; for a hub model, id and revision.
    """

    model: PreTrainedModel
    processor: ProcessorMixin
    name: str
    digest: str


def load_generalist(
    path_or_id: str | Path,
    *,
    dtype: str | torch.dtype | None = None,
    device: str | torch.device | None = None,
    quantize: Literal["nf4"] | None = None,
    trust_remote_code: bool = False,
) -> Generalist:
    """Loads a model that reads images and text and writes text.

    Args:
        path_or_id: folder that ``save_pretrained`` wrote, or a hub id.
        dtype: data type of the weights; None keeps the checkpoint's.
        device: device of the model; None is the GPU if there is one, otherwise the CPU.
        quantize: "nf4" keeps the language model in 4 bits (QLoRA) and needs bitsandbytes.
        trust_remote_code: whether code in the checkpoint may run.

    Raises:
        ModelError: no such model or device, pickled weights only, an unknown kind of model, no connection.
    """
    location = locate(path_or_id)
    place = _device(device)
    with loading("model", path_or_id):
        config = AutoConfig.from_pretrained(location.path, trust_remote_code=trust_remote_code)
    check_kind(config, path_or_id, trust_remote_code)
    if quantize and getattr(config, "visual_expert", None) is not None:
        # Quantization replaces the layers that the expert's hooks are on.
        raise ModelError(
            f"{path_or_id} has a visual expert, which cannot be quantized",
            hint="load it without quantization",
        )
    # Before the weights, since it takes no time and is missing as often.
    processor = load_processor(path_or_id, trust_remote_code=trust_remote_code)
    check_image_token(config, processor, path_or_id)
    model = load_weights(
        AutoModelForImageTextToText,
        location,
        what="model",
        name=path_or_id,
        unused=UNUSED,
        config=config,
        dtype=dtype or "auto",
        trust_remote_code=trust_remote_code,
        **_quantized(quantize, dtype),
    )
    check_vocabulary(model, processor, path_or_id)
    if not quantize:  # loading puts a quantized model on its device
        cast(nn.Module, model).to(place)  # the decorated type of PreTrainedModel.to is wrong
    name = Path(location.path).resolve().name if location.is_local else location.path
    model.eval()
    return Generalist(model, processor, name, _digest(location, model))


def _device(name: str | torch.device | None) -> torch.device:
    """The device of a name; by default the first GPU if there is one."""
    try:
        return torch.empty(0, device=name or ("cuda" if torch.cuda.is_available() else "cpu")).device
    except (RuntimeError, AssertionError) as error:  # torch's, of several lines
        raise ModelError(
            f"there is no device {str(name)!r} here: {str(error).splitlines()[0]}",
            hint="use --device cpu, or cuda if `vila2 env` shows a GPU",
        ) from error


def _quantized(kind: str | None, dtype: str | torch.dtype | None) -> dict[str, Any]:
    """Arguments of ``from_pretrained`` that keep the language model in 4 bits, vision and projector not."""
    if kind is None:
        return {}
    from transformers import BitsAndBytesConfig

    whole = ["vision_tower", "vision_model", "visual", "multi_modal_projector", "connector", "lm_head"]
    settings = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type=kind,
        bnb_4bit_compute_dtype=dtype or torch.bfloat16,
        bnb_4bit_use_double_quant=True,
        # These patterns must match from the start of a module's full name.
        llm_int8_skip_modules=[rf"(?:.*\.)?{name}" for name in whole],
    )
    # With several training processes, each has its own GPU.
    place = int(os.environ.get("LOCAL_RANK", "0")) if torch.cuda.is_available() else "cpu"
    return {"quantization_config": settings, "device_map": {"": place}}


def load_processor(path_or_id: str | Path, *, trust_remote_code: bool = False) -> ProcessorMixin:
    """Loads a model's processor; if its video part cannot be loaded, one for images alone.

    SmolVLM, InternVL, Qwen-VL and others need a video processor even to read a single image, and that needs
    torchvision.

    Args:
        path_or_id: folder or hub id of the model.
        trust_remote_code: whether code in the checkpoint may run.

    Raises:
        ModelError: no processor that can be loaded.
    """
    location = locate(path_or_id)
    if location.is_local:
        check_processor_files(Path(location.path))
    with loading("processor of", path_or_id):
        processor: ProcessorMixin = _load_processor(location, trust_remote_code)
    if not hasattr(processor, "image_processor") or getattr(processor, "tokenizer", None) is None:
        raise ModelError(
            f"the processor of {path_or_id} is a {type(processor).__name__},"
            " which is not for images and text",
            hint="check processor_class in preprocessor_config.json: it must be one of transformers' own",
        )
    return processor


def _load_processor(location: Location, trust_remote_code: bool) -> Any:
    """Loads the processor, or what AutoProcessor returns instead of one."""
    kind = processor_class(location.path, trust_remote_code=trust_remote_code)
    with_videos = kind is not None and "video_processor" in attributes_of(kind)
    if kind is not None and with_videos and not is_torchvision_available():
        return images_only(kind).from_pretrained(location.path)
    auto = AutoProcessor if kind is None or trust_remote_code else kind
    try:
        return auto.from_pretrained(location.path, trust_remote_code=trust_remote_code)
    except (ImportError, OSError, ValueError):  # saved without its video part, or without num2words
        if kind is None or not with_videos:
            raise
        return images_only(kind).from_pretrained(location.path)


def check_kind(config: PreTrainedConfig, name: str | Path, trust_remote_code: bool = False) -> None:
    """Checks that a model of this configuration reads images and writes text.

    Args:
        config: configuration of the model.
        name: name of the model for the error message.
        trust_remote_code: whether code in the checkpoint may run, so that any kind of model is allowed.

    Raises:
        ModelError: another kind of model, or a configuration of another code base.
    """
    refuse_encoder_decoder(config, name)
    if hasattr(config, "mm_vision_tower"):
        raise ModelError(
            f"{name} has the format of the original LLaVA code (mm_vision_tower),"
            " which transformers cannot read",
            hint="use the checkpoint in transformers' format (llava-hf);"
            " for VILA-1.5 and NVILA: vila2 model convert",
        )
    if type(config) in AutoModelForImageTextToText._model_mapping or trust_remote_code:
        return
    raise ModelError(
        f"{name} is a {config.model_type!r} model, which does not read images and write text",
        hint="use an image-text-to-text model, or assemble one from a vision tower and a language model",
    )


def _digest(location: Location, model: PreTrainedModel) -> str:
    if location.is_local:
        return digest_folder(Path(location.path))
    return f"{location.path}@{getattr(model.config, '_commit_hash', None) or 'unknown'}"
