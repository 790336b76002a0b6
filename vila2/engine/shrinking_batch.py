"""Decoding of a batch that drops the rows that have ended, so that few slots are computed for nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol, cast, runtime_checkable

import torch
from transformers import DynamicCache, GenerationConfig, LogitsProcessorList
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer
from transformers.generation.streamers import BaseStreamer

#: Share of a batch's rows that have ended at which they are dropped. Each time, the cache is copied.
DROPPED_FROM = 0.125
#: What a decoding step reads of each row, beside the cache; positions may have further dimensions before.
_BY_ROW = ("attention_mask", "position_ids", "token_type_ids", "mm_token_type_ids")
#: What only the first step reads, or what is the same for all rows.
_FIRST_STEP = frozenset(
    {"past_key_values", "use_cache", "logits_to_keep", "pixel_values", "pixel_attention_mask", "image_sizes"}
    | {"image_grids", "mm_encoder_outputs"}
)


@runtime_checkable
class RowState(Protocol):
    """A logits processor that holds something for each row."""

    def keep_rows(self, rows: Sequence[int]) -> None:
        """Drops what belongs to other rows than these."""


def decode_shrinking(
    model: Any,
    input_ids: torch.Tensor,
    logits_processor: LogitsProcessorList,
    generation_config: GenerationConfig,
    streamer: BaseStreamer | None = None,
    **model_kwargs: Any,
) -> torch.Tensor:
    """Takes the likeliest token each time, as ``transformers``' own loop does; for its ``custom_generate``.

    Models whose state lies elsewhere than in an ordinary cache keep all rows to the end.

    Args:
        model: model that generates.
        input_ids: prompts [B, prompt].
        logits_processor: what changes the scores.
        generation_config: config that names the end tokens and the longest answer.
        streamer: what is given the tokens as they come, for a batch of one.
        model_kwargs: further inputs, as ``generate`` has prepared them.

    Returns:
        Tokens [B, prompt + longest answer], padded after the end.
    """
    for name in ("stopping_criteria", "synced_gpus"):
        model_kwargs.pop(name, None)
    rows, length = input_ids.shape
    ends = torch.tensor(generation_config.eos_token_id, device=input_ids.device)
    longest = length + generation_config.max_new_tokens
    answers = input_ids.new_full((rows, longest), generation_config.pad_token_id)
    answers[:, :length] = input_ids
    places = torch.arange(rows, device=input_ids.device)  # of the rows that are left
    ended = torch.zeros(rows, dtype=torch.bool, device=input_ids.device)
    outputs = model._prefill(input_ids, generation_config, model_kwargs)
    while True:
        model_kwargs = model._update_model_kwargs_for_generation(outputs, model_kwargs)
        # Copied, since the logits of a whole prompt would otherwise stay in memory during the next step.
        scores = logits_processor(
            cast("torch.LongTensor", input_ids), outputs.logits[:, -1].to(torch.float32, copy=True)
        )
        del outputs
        tokens = scores.argmax(dim=-1).masked_fill(ended, generation_config.pad_token_id)
        input_ids = torch.cat([input_ids, tokens[:, None]], dim=1)
        answers[places, input_ids.shape[1] - 1] = tokens
        if streamer is not None:
            streamer.put(tokens.cpu())
        ended = ended | torch.isin(tokens, ends)
        if input_ids.shape[1] == longest or bool(ended.all()):
            return answers[:, : input_ids.shape[1]]
        if ended.sum() >= DROPPED_FROM * len(ended) and _can_drop(model, model_kwargs):
            left = torch.nonzero(~ended).flatten()
            _keep(left, model_kwargs, logits_processor)
            input_ids, places, ended = input_ids[left], places[left], ended[left]
        with model._optimize_model_for_decode():
            inputs = model.prepare_inputs_for_generation(input_ids, next_sequence_length=1, **model_kwargs)
            outputs = model(**inputs, return_dict=True)


def _can_drop(model: Any, inputs: dict[str, Any]) -> bool:
    """Whether everything that belongs to a row is known, so that rows can be dropped."""
    cache = inputs.get("past_key_values")
    return (
        type(cache) is DynamicCache
        and all(type(layer) in (DynamicLayer, DynamicSlidingWindowLayer) for layer in cache.layers)
        and _FIRST_STEP.issuperset(name for name in inputs if name not in _BY_ROW)
        and not any(True for _ in _remembered_positions(model))
    )


def _remembered_positions(model: Any) -> Iterator[torch.Tensor]:
    """What models that count rows and columns of images remember of each row."""
    for module in model.modules():
        if getattr(module, "rope_deltas", None) is not None:
            yield module.rope_deltas


def _keep(left: torch.Tensor, inputs: dict[str, Any], processors: LogitsProcessorList) -> None:
    inputs["past_key_values"].batch_select_indices(left)
    for name in _BY_ROW:
        if inputs.get(name) is not None:
            inputs[name] = inputs[name].index_select(-2, left)
    for processor in processors:
        if isinstance(processor, RowState):
            processor.keep_rows(left.tolist())
