"""The parts of an image-text-to-text model, for freezing and adapters: vision, projector, language."""

from __future__ import annotations

from torch import nn
from transformers import PreTrainedModel

from vila2.errors import ModelError

# What the families of transformers call the module between vision and language; beside the vision
# tower, or (Qwen-VL) the last module inside it.
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
    """The three parts of a model, in the order of the data flow.

    Args:
        model: of our family, or a model of transformers such as LLaVA, SmolVLM, Idefics3 or Qwen-VL.

    Returns:
        ``vision``, ``projector`` and ``language``, and ``visual_expert`` where the model has one. Where the output layer has weights of its own,
        ``language`` is a list of decoder and output layer. In Qwen-VL the projector is the last
        module of the vision tower, and ``vision`` holds it too.

    Raises:
        ModelError: a part cannot be told apart.
    """
    language = model.get_decoder()
    vision = model.get_encoder(modality="image")
    kind = type(model).__name__
    if language is model or vision is model:
        missing = "vision tower" if vision is model else "language model"
        raise ModelError(f"cannot tell the {missing} of {kind} apart", hint=_HINT)
    projector = _projector(model, vision)
    if projector is None:
        raise ModelError(f"cannot tell the projector of {kind} apart", hint=_HINT)
    parts = {"vision": vision, "projector": projector, "language": _with_head(model, language)}
    expert = getattr(model.base_model, "visual_expert", None)
    return parts if expert is None else parts | {"visual_expert": expert}


_HINT = (
    "train and adapt a model of the vila2 family, LLaVA, SmolVLM, Idefics3 or Qwen-VL; any model can caption"
)


def _projector(model: PreTrainedModel, vision: nn.Module) -> nn.Module | None:
    for module in (model.base_model, model):
        for name in _PROJECTORS:
            if isinstance(getattr(module, name, None), nn.Module):
                return getattr(module, name)
    for name in _PROJECTORS_IN_VISION:
        if isinstance(getattr(vision, name, None), nn.Module):
            return getattr(vision, name)
    return None


def _with_head(model: PreTrainedModel, language: nn.Module) -> nn.Module:
    """The language model with its output layer, unless that is within it or shares the embedding's weights."""
    head = model.get_output_embeddings()
    if head is None:
        return language
    known = {id(parameter) for parameter in language.parameters()}
    if all(id(parameter) in known for parameter in head.parameters()):
        return language
    return nn.ModuleList([language, head])
