"""Loads weights and decides whether they fit the model.

transformers fills weights that a checkpoint lacks with random numbers and goes on, and a partly random model
still writes captions that look right. So all weights are loaded here. Weights that are missing, of another
shape, or not finite are an error that names them.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from vila2.errors import ModelError
from vila2.model.checkpoint_files import check_weights
from vila2.model.loading import Location, loading

log = logging.getLogger("vila2.model")

# Tensors that older programs saved although they follow from the configuration.
_COMPUTED = re.compile(r"(inv_freq|position_ids|masked_bias|num_batches_tracked)$")
#: Weights that pool an image to one vector. Families that read patch features do not use them.
POOLING = r"(^|\.)(pooler|head)\."
Shape = tuple[int, ...]
_FLOATS = (torch.float32, torch.float64, torch.bfloat16, torch.float16)


@dataclass(frozen=True, slots=True)
class Fit:
    """How the weights of a checkpoint fit a model.

    Attributes:
        used: number of tensors that the model and the checkpoint both have.
        missing: names of tensors that only the model has.
        unexpected: names of tensors that only the checkpoint has.
        mismatched: name, shape in the checkpoint and shape in the model of tensors whose shapes differ.
    """

    used: int
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    mismatched: tuple[tuple[str, Shape, Shape], ...] = ()


def load_weights(
    auto: Any,
    location: Location,
    *,
    what: str,
    name: str | Path,
    part: bool = False,
    unused: str | None = None,
    **settings: Any,
) -> PreTrainedModel:
    """Loads a model and checks that its weights are complete, of the right shape, and finite.

    Args:
        auto: Auto class of transformers.
        location: place of the checkpoint.
        what: kind of the model for messages: "model", "vision tower", ...
        name: name of the checkpoint as the user gave it.
        part: whether the checkpoint may be of a larger model, of which this is a part.
        unused: pattern of weights that are never used and so may be missing.
        settings: arguments of ``from_pretrained``.

    Raises:
        ModelError: files that are missing or broken, or weights that do not fit.
    """
    if location.is_local and not location.gguf_file:
        check_weights(Path(location.path))
    if location.gguf_file:
        settings["gguf_file"] = location.gguf_file
    else:
        settings["use_safetensors"] = True
    model: PreTrainedModel
    with loading(what, name), _without_its_report():
        # Mismatched sizes are ignored so that they get into the report. Such a model is never used.
        model, report = auto.from_pretrained(
            location.path, output_loading_info=True, ignore_mismatched_sizes=True, **settings
        )
    decide(_as_fit(model, report, unused), what=what, name=name, part=part)
    check_finite(model, f"{what} {name}", hint=_DAMAGED)
    return model


def fit_state(
    module: torch.nn.Module,
    state: Mapping[str, torch.Tensor],
    *,
    what: str,
    name: str | Path,
    hint: str = "",
    assign: bool = False,
) -> None:
    """Loads weights that vila2 read or renamed itself into a module; all of them must fit.

    Args:
        module: module that gets the weights.
        state: weights by the module's names.
        what: kind of the module for messages: "projector", ...
        name: name of the checkpoint as the user gave it.
        hint: advice for weights that do not fit.
        assign: whether the module takes the tensors themselves, with their dtype.

    Raises:
        ModelError: weights that do not fit, or are not finite.
    """
    decide(fit_of(module, state), what=what, name=name, whole=True, hint=hint)
    check_tensors(state.items(), f"{what} {name}", hint=_DAMAGED)
    module.load_state_dict(state, assign=assign)


def fit_of(module: torch.nn.Module, state: Mapping[str, torch.Tensor]) -> Fit:
    """Compares a module's names and shapes with those of a state."""
    expected = {name: tuple(value.shape) for name, value in module.state_dict().items()}
    found = {name: tuple(value.shape) for name, value in state.items()}
    both = expected.keys() & found.keys()
    return Fit(
        used=len(both),
        missing=tuple(sorted(expected.keys() - found.keys())),
        unexpected=tuple(sorted(found.keys() - expected.keys())),
        mismatched=tuple(
            (name, found[name], expected[name]) for name in sorted(both) if found[name] != expected[name]
        ),
    )


def decide(
    fit: Fit, *, what: str, name: str | Path, part: bool = False, whole: bool = False, hint: str = ""
) -> None:
    """Refuses weights that do not fit; logs which were left out.

    Args:
        fit: comparison of the checkpoint with the model.
        what: kind of the model for messages: "model", "vision tower", ...
        name: name of the checkpoint as the user gave it.
        part: whether any number of weights may be left out.
        whole: whether no weights may be left out.
        hint: advice that replaces the general one.

    Raises:
        ModelError: weights that are missing or of another shape, or too many weights that the model does not
            have.
    """
    about = f"the weights of the {what} {name} do not fit its configuration"
    if fit.mismatched:
        raise ModelError(f"{about}: {_shapes(fit.mismatched)}", hint=hint or _shapes_hint(fit.mismatched))
    if fit.missing:
        raise ModelError(
            f"{about}: {_named(fit.missing, 'missing')}"
            + (f"; {_named(fit.unexpected, 'of no use to it')}" if fit.unexpected else ""),
            hint=hint or _missing_hint(fit),
        )
    if fit.unexpected and not part:
        # Usually the checkpoint has more layers than the configuration: half a model answers, but badly.
        if whole or len(fit.unexpected) * 2 > fit.used or _deeper(fit):
            raise ModelError(
                f"{about}: {_named(fit.unexpected, 'of no use to it')}",
                hint=hint
                or "check config.json (number of layers, model_type):"
                " it must be the one saved with these weights",
            )
        log.warning("%s %s: %s; they are left out", what, name, _named(fit.unexpected, "not of this model"))


def check_finite(model: torch.nn.Module, where: str, *, hint: str) -> None:
    """Checks that all weights of a model are finite; takes about 0.2 s for 10^9 of them on one core.

    Args:
        model: model with weights.
        where: name of the model for the error message.
        hint: advice for the error message.

    Raises:
        ModelError: weights that are NaN or infinite, with their names.
    """
    tied: set[int] = set()

    def once() -> Iterator[tuple[str, torch.Tensor]]:
        for name, value in model.state_dict().items():
            if value.data_ptr() not in tied:
                tied.add(value.data_ptr())
                yield name, value

    check_tensors(once(), where, hint=hint)


@torch.no_grad()
def check_tensors(tensors: Iterable[tuple[str, torch.Tensor]], where: str, *, hint: str) -> None:
    """Checks tensors by name as :func:`check_finite` does."""
    # Minimum and maximum are NaN if any number is. They are read together, since each reading waits for the
    # GPU.
    ends = {
        name: torch.stack(torch.aminmax(value.detach())).float()
        for name, value in tensors
        if isinstance(value, torch.Tensor) and value.dtype in _FLOATS and value.numel() and not value.is_meta
    }
    bad = [name for name, pair in ends.items() if not bool(torch.isfinite(pair).all())]
    if bad:
        raise ModelError(
            f"{where} has weights that are no numbers (NaN or infinity): {_named(bad)}", hint=hint
        )


_DAMAGED = "use an earlier checkpoint if the training diverged, or download it again"


def _as_fit(model: PreTrainedModel, report: Mapping[str, Any], unused: str | None) -> Fit:
    """Reads transformers' report of loading; weights that match ``unused`` do not count as missing."""
    missing = [name for name in sorted(report["missing_keys"]) if not unused or not re.search(unused, name)]
    unexpected = [name for name in sorted(report["unexpected_keys"]) if not _COMPUTED.search(name)]
    return Fit(
        used=len(model.state_dict()) - len(report["missing_keys"]),
        missing=tuple(missing),
        unexpected=tuple(unexpected),
        mismatched=tuple(
            sorted((name, tuple(found), tuple(ours)) for name, found, ours in report["mismatched_keys"])
        ),
    )


def _deeper(fit: Fit) -> bool:
    """Whether whole layers are left out."""
    numbered = [hit for name in fit.unexpected if (hit := re.search(r"\.(?:layers?|blocks?|h)\.\d+\.", name))]
    return len(numbered) * 20 > fit.used


def _shapes(mismatched: Collection[tuple[str, Shape, Shape]]) -> str:
    name, found, ours = next(iter(mismatched))
    more = f" and {len(mismatched) - 1} more" if len(mismatched) > 1 else ""
    return f"{name} is {list(found)} where {list(ours)} is expected{more}"


def _shapes_hint(mismatched: Collection[tuple[str, Shape, Shape]]) -> str:
    if any(0 in found for _, found, _ in mismatched):
        return (
            "it was saved under ZeRO-3 before its weights were gathered: join DeepSpeed's shares"
            " (`python zero_to_fp32.py . OUT --safe_serialization` in the checkpoint)"
        )
    return "use the config.json that was saved with these weights"


def _missing_hint(fit: Fit) -> str:
    for prefix, hint in _WRAPPED.items():
        if any(name.startswith(prefix) for name in fit.unexpected):
            return hint
    if all("lm_head" in name for name in fit.missing):
        return "if the embeddings are the output layer too, set tie_word_embeddings: true in config.json"
    if len(fit.unexpected) * 4 > len(fit.missing):
        return (
            "the names belong to another code base or model_type: use a checkpoint in transformers' format"
            " (for LLaVA those of llava-hf; for VILA-1.5 and NVILA: vila2 model convert)"
        )
    if all("projector" in name or "connector" in name or "merger" in name for name in fit.missing):
        return "the projector was saved separately (mm_projector.bin, say): merge it in, and save the model"
    return "use a checkpoint with all weights, not an adapter or a part of one"


# Prefixes that wrappers of a model leave in the names when the wrapped model is saved.
_WRAPPED = {
    "base_model.model.": "it was saved with its adapters: call merge_and_unload() before save_pretrained",
    "_orig_mod.": "it was saved inside torch.compile's wrapper: save model._orig_mod",
    "module.": "it was saved inside DistributedDataParallel: save model.module",
}


def _named(names: Collection[str], of: str = "", most: int = 3) -> str:
    shown = ", ".join(list(names)[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
    return f"{len(names)} {of}: {shown}" if of else shown


@contextmanager
def _without_its_report() -> Iterator[None]:
    """Hides transformers' table of what does not fit; :func:`decide` says it in one line."""
    reporter = logging.getLogger("transformers.modeling_utils")

    def is_other(record: logging.LogRecord) -> bool:
        return "LOAD REPORT" not in record.getMessage()

    reporter.addFilter(is_other)
    try:
        yield
    finally:
        reporter.removeFilter(is_other)
