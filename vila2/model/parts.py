"""Finds the parts of an image-text-to-text model, to freeze or adapt them: vision, projector, language."""

from __future__ import annotations

from torch import nn
from transformers import PreTrainedModel

from vila2.errors import ModelError

# Names of the module between vision and language in the families of transformers. It stands beside the vision
# tower or, in Qwen-VL, is the last module inside it.
_PROJECTORS = (
    "multi_modal_projector",
    "connector",
    "aligner",
    "embed_vision",
    "language_projection",
    "mm_projector",
    "projector",
)
_PROJECTORS_IN_VISION = ("merger", "patch_merger")


def parts_of(model: PreTrainedModel) -> dict[str, nn.Module]:
    """Finds the parts of a model, in the order of the data flow.

    Args:
        model: model of our family, or of transformers such as LLaVA, SmolVLM, Idefics3 or Qwen-VL.

    Returns:
        ``vision``, ``projector`` and ``language``, and ``visual_expert`` if the model has one. If the output
        layer has its own weights, ``language`` is a list of decoder and output layer. In Qwen-VL the
        projector is the last module of the vision tower, and ``vision`` holds it too.

    Raises:
        ModelError: a part that cannot be identified.
    """
    language = model.get_decoder()
    vision = model.get_encoder(modality="image")
    kind = type(model).__name__
    if language is model or vision is model:
        missing = "vision tower" if vision is model else "language model"
        raise ModelError(f"cannot identify the {missing} of {kind}", hint=_HINT)
    projector = _projector(model, vision)
    if projector is None:
        raise ModelError(f"cannot identify the projector of {kind}", hint=_HINT)
    parts = {"vision": vision, "projector": projector, "language": _with_head(model, language)}
    expert = getattr(model.base_model, "visual_expert", None)
    return parts if expert is None else parts | {"visual_expert": expert}


_HINT = (
    "train or adapt a model of the vila2 family, LLaVA, SmolVLM, Idefics3 or Qwen-VL; any model can caption"
)


def _projector(model: PreTrainedModel, vision: nn.Module) -> nn.Module | None:
    places = [(module, name) for module in (model.base_model, model) for name in _PROJECTORS]
    places += [(vision, name) for name in _PROJECTORS_IN_VISION]
    found = (getattr(module, name, None) for module, name in places)
    return next((one for one in found if isinstance(one, nn.Module)), None)


def _with_head(model: PreTrainedModel, language: nn.Module) -> nn.Module:
    """Adds the output layer to the language model, unless its weights are there already (inside, or tied)."""
    head = model.get_output_embeddings()
    if head is None:
        return language
    known = {id(parameter) for parameter in language.parameters()}
    if all(id(parameter) in known for parameter in head.parameters()):
        return language
    return nn.ModuleList([language, head])
