"""The transformers engine: batched generation with any image-text-to-text model."""

from __future__ import annotations

import inspect
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from transformers import (
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopPLogitsWarper,
)

from vila2.data.chance import drawn
from vila2.data.images import decode_image, image_size
from vila2.engine.expected_length import ExpectedLengths
from vila2.engine.protocol import Answer, GenerationSettings, Request, RequestsRefused
from vila2.engine.shrinking_batch import decode_shrinking
from vila2.engine.spoken_tokens import SpokenTokens
from vila2.engine.template_messages import template_messages
from vila2.errors import DataError, EngineError, Vila2Error, one_line
from vila2.model.coordinate_scheme import scheme_of
from vila2.model.processing import end_tokens
from vila2.model.prompt_text import PromptText
from vila2.model.seen_before import remember_pictures
from vila2.model.special_tokens import token_groups

if TYPE_CHECKING:
    from pathlib import Path

    from PIL.Image import Image

    from vila2.model.generalist import Generalist


def open_transformers(model: str | Path, **options: Any) -> TransformersEngine:
    """The engine with a model in it.

    Args:
        model: hub id or folder.
        options: options of :func:`vila2.model.generalist.load_generalist`: ``dtype``, ``device``,
            ``trust_remote_code``.

    Raises:
        ModelError: the model cannot be loaded.
        EngineError: it cannot be used as an engine.
    """
    from vila2.model.generalist import load_generalist

    return TransformersEngine(load_generalist(model, **options))


@dataclass(frozen=True, slots=True)
class Prepared:
    """A batch with its inputs, which are in the main memory.

    Attributes:
        requests: requests of the batch.
        inputs: tensors by name.
    """

    requests: tuple[Request, ...]
    inputs: dict[str, torch.Tensor]


class TransformersEngine:
    """Answers with ``transformers``' own ``generate``; rows that have ended leave their batch.

    An answer depends on its request alone: batches are padded on the left and masked, the repetition penalty
    counts only generated tokens, and sampling noise is seeded per request.

    Args:
        generalist: loaded model with its processor.

    Raises:
        EngineError: the processor cannot build a prompt with an image.
    """

    takes_examples = True

    def __init__(self, generalist: Generalist) -> None:
        self.model: Any = generalist.model
        remember_pictures(self.model)
        self.processor: Any = generalist.processor
        self.name = generalist.name
        self.digest = generalist.digest
        self.tokenizer = self.processor.tokenizer
        self.coordinates = scheme_of(self.processor)  # answers are read back with the same scheme
        if not (getattr(self.processor, "chat_template", None) or self.tokenizer.chat_template):
            raise EngineError(
                f"the processor of {self.name} has no chat template",
                hint="use an instruction-tuned model, or put a chat_template.jinja into the model's folder",
            )
        places = tuple(name for group in token_groups(self.tokenizer) for name in group.spec.tokens)
        self._prompt_text = PromptText(self.processor, places)
        self._lengths = ExpectedLengths(self.processor)
        self.end_tokens = self._find_end_tokens()
        if not self.end_tokens:
            raise EngineError(
                f"{self.name} names no end-of-sequence token",
                hint="set eos_token_id in its generation_config.json",
            )

    def generate(self, requests: Sequence[Request], settings: GenerationSettings) -> list[Answer]:
        """Answers a batch; see :class:`vila2.engine.protocol.Engine`.

        Raises:
            RequestsRefused: images that cannot be decoded, or that processor or model refuse, or prompts that
                are longer than the model reads; nothing was generated.
            EngineError: the batch does not fit into memory, or the model fails whatever it is shown.
        """
        return self._asked_now(requests, settings) if requests else []

    def prepare_batch(self, requests: Sequence[Request], settings: GenerationSettings) -> Prepared:
        """Decodes and tokenizes; see :class:`vila2.engine.protocol.PreparingEngine`.

        Raises:
            RequestsRefused: images that cannot be decoded, or prompts that are longer than the model reads.
        """
        inputs = self._inputs(requests)
        self._check_lengths(inputs.get("attention_mask"))
        return Prepared(tuple(requests), inputs)

    def answer_prepared(self, prepared: Prepared, settings: GenerationSettings) -> list[Answer]:
        """Answers a prepared batch; see :meth:`generate`."""
        try:
            return self._generated(prepared, settings)
        except (Vila2Error, MemoryError):
            raise
        except Exception as error:  # as above
            raise self._refused(prepared.requests, settings, error) from error

    def speak(self, request: Request, settings: GenerationSettings, heard: Callable[[str], None]) -> Answer:
        """Answers while it tells the text; see :class:`vila2.engine.protocol.SpeakingEngine`."""
        speaker = SpokenTokens(lambda tokens: self._text(self._before_end(tokens)), heard)
        (answer,) = self._asked_now([request], settings, speaker)
        speaker.finish(answer.text)
        return answer

    def expected_tokens(self, request: Request) -> int:
        """About how many tokens a request has; see :class:`vila2.engine.protocol.PreparingEngine`."""
        return self._lengths.of(request)

    def _asked_now(
        self, requests: Sequence[Request], settings: GenerationSettings, speaker: SpokenTokens | None = None
    ) -> list[Answer]:
        try:
            return self._generated(self.prepare_batch(requests, settings), settings, speaker)
        except (Vila2Error, MemoryError):
            raise
        except Exception as error:  # processors and models raise nearly anything at an image that is too long
            raise self._refused(requests, settings, error) from error

    def _generated(
        self, prepared: Prepared, settings: GenerationSettings, speaker: SpokenTokens | None = None
    ) -> list[Answer]:
        requests, inputs = prepared.requests, self._on_device(prepared.inputs)
        length = inputs["input_ids"].shape[1]
        config = GenerationConfig(
            max_new_tokens=settings.max_new_tokens,
            do_sample=False,  # sampling is done by _steering, request by request
            eos_token_id=self.end_tokens,
            pad_token_id=self._pad_token_id,
            bos_token_id=self.tokenizer.bos_token_id,
            use_cache=True,
        )
        # `generate` tells a streamer the prompt, and passes it on to no loop but its own.
        decode = partial(decode_shrinking, streamer=speaker)
        with self._prepared(config), torch.inference_mode():
            try:
                output = self.model.generate(
                    **inputs,
                    generation_config=config,
                    logits_processor=self._steering(requests, settings, length),
                    custom_generate=None if self.model.config.is_encoder_decoder else decode,
                    streamer=speaker,
                )
            except torch.OutOfMemoryError as error:
                raise EngineError(
                    f"{len(requests)} images with {length} tokens each do not fit into memory",
                    hint="use a smaller batch size, or bfloat16 weights",
                ) from error
        return [self._answer(row) for row in output[:, length:].tolist()]

    def _refused(
        self, requests: Sequence[Request], settings: GenerationSettings, error: Exception
    ) -> Vila2Error:
        """The error of a failed batch: of some requests, or of the engine where a plain image fails too."""
        once = replace(settings, max_new_tokens=1)
        reasons = {
            number: f"the model cannot be shown {_sizes(request)} ({one_line(failure)})"
            for number, request in enumerate(requests)
            if (failure := self._failure(request, once))
        }
        if not reasons:
            return EngineError(
                f"{self.name} fails at {len(requests)} images together, and at none alone: {one_line(error)}",
                hint="use a batch size of 1",
            )
        asked = requests[next(iter(reasons))]
        examples = tuple(replace(one, image=_plain_image()) for one in asked.examples)
        plain = replace(asked, images=tuple(_plain_image() for _ in asked.images), examples=examples)
        if failure := self._failure(plain, once):
            return EngineError(
                f"{self.name} cannot be asked at all: {one_line(failure)}",
                hint="use another model, or versions of its packages that it works with",
            )
        return RequestsRefused(reasons)

    def _failure(self, request: Request, settings: GenerationSettings) -> Exception | None:
        """The exception that a request alone raises; None where it is answered."""
        try:
            self._generated(self.prepare_batch([request], settings), settings)
        except (Vila2Error, MemoryError):
            raise
        except Exception as failure:  # as above
            return failure
        return None

    @property
    def _pad_token_id(self) -> int:
        pad: int | None = self.tokenizer.pad_token_id
        return self.end_tokens[0] if pad is None else pad

    def _decoded(self, requests: Sequence[Request]) -> list[list[Image]]:
        """The images of every request.

        Raises:
            RequestsRefused: some cannot be decoded.
        """
        pictures: list[list[Image]] = []
        reasons: dict[int, str] = {}
        for number, request in enumerate(requests):
            several = len(request.shown_images) > 1
            try:
                pictures.append(
                    [
                        decode_image(data, where=f"{request.key} (image {n})" if several else request.key)
                        for n, data in enumerate(request.shown_images)
                    ]
                )
            except DataError as error:
                reasons[number] = one_line(error)
        if reasons:
            raise RequestsRefused(reasons)
        return pictures

    def _inputs(self, requests: Sequence[Request]) -> dict[str, Any]:
        """Token ids (batch, length), attention mask and image tensors."""
        pictures = self._decoded(requests)
        plain = self._prompt_text.plain
        messages = [template_messages(one, own, plain) for one, own in zip(requests, pictures, strict=True)]
        if self.tokenizer.pad_token is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token  # masked, so any token will do
        batch: Any = self.processor.apply_chat_template(
            messages,
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",  # SmolVLM's processor ignores it in processor_kwargs
            processor_kwargs={"padding": True, "padding_side": "left"},
        )
        if "token_type_ids" not in inspect.signature(self.model.forward).parameters:
            batch.pop("token_type_ids", None)  # made by some tokenizers; models that attend by it take it
        return dict(batch)

    def _on_device(self, inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        dtype, device = self.model.dtype, self.model.device
        return {
            name: value.to(device, dtype if value.is_floating_point() else None)
            for name, value in inputs.items()
        }

    def _check_lengths(self, mask: torch.Tensor | None) -> None:
        """Refuses prompts that leave no room for an answer, by their attention mask [B, L]."""
        limit = _longest(self.model.config.get_text_config())
        if mask is None or limit is None:
            return
        reasons = {
            number: f"the prompt has {tokens} tokens with its images, and the model reads {limit} at most"
            for number, tokens in enumerate(mask.sum(1).tolist())
            if tokens >= limit
        }
        if reasons:
            raise RequestsRefused(reasons)

    def _steering(
        self, requests: Sequence[Request], settings: GenerationSettings, length: int
    ) -> LogitsProcessorList:
        steps: list[LogitsProcessor] = []
        if settings.repetition_penalty != 1:
            # Without the offset the penalty would fall on the prompt and on the padding.
            steps.append(
                RepetitionPenaltyLogitsProcessor(settings.repetition_penalty, prompt_ignore_length=length)
            )
        if settings.temperature > 0:
            steps.append(TemperatureLogitsWarper(settings.temperature))
            if settings.top_p < 1:
                steps.append(TopPLogitsWarper(settings.top_p))
            steps.append(SeededNoise([request.key for request in requests], settings.seed, self.model.device))
        return LogitsProcessorList(steps)

    @contextmanager
    def _prepared(self, config: GenerationConfig) -> Iterator[None]:
        """Puts the model into evaluation mode without its generation defaults; restores both afterwards."""
        training, defaults = self.model.training, self.model.generation_config
        self.model.eval()
        # `generate` fills gaps from the model's own defaults (sampling, penalties): nothing may leak in.
        self.model.generation_config = config
        try:
            yield
        finally:
            self.model.generation_config = defaults
            self.model.train(training)

    def _answer(self, tokens: list[int]) -> Answer:
        kept = self._before_end(tokens)
        return Answer(self._text(kept).strip(), "stop" if len(kept) < len(tokens) else "length", len(kept))

    def _before_end(self, tokens: list[int]) -> list[int]:
        """The tokens in front of the first one that ends an answer."""
        end = next((place for place, token in enumerate(tokens) if token in self.end_tokens), len(tokens))
        return tokens[:end]

    def _text(self, tokens: list[int]) -> str:
        text: str = self.tokenizer.decode(tokens, skip_special_tokens=True)
        return text

    def _find_end_tokens(self) -> list[int]:
        """The tokens that end an answer: the model's own, the tokenizer's, and the chat template's.

        Some chat models list only their end of text, and end a turn with another token.
        """
        own = self.model.generation_config.eos_token_id
        listed = own if isinstance(own, list | tuple) else [] if own is None else [own]
        return list(dict.fromkeys([*listed, *end_tokens(self.processor)]))


class SeededNoise(LogitsProcessor):
    """Makes the likeliest token a fair sample, with noise that belongs to the request.

    Adding Gumbel noise to log-probabilities and taking the largest is sampling from them. With a generator
    per request, the rest of the batch cannot change a sample.
    """

    def __init__(self, keys: Sequence[str], seed: int, device: torch.device) -> None:
        self.generators = [torch.Generator(device).manual_seed(drawn(seed, key, size=7)) for key in keys]

    def keep_rows(self, rows: Sequence[int]) -> None:
        """Drops the generators of other requests; see :class:`vila2.engine.shrinking_batch.RowState`."""
        self.generators = [self.generators[row] for row in rows]

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        noise = torch.empty(scores.shape, dtype=torch.float32, device=scores.device)
        for row, generator in zip(noise, self.generators, strict=True):
            row.exponential_(generator=generator)
        return scores.float() - noise.log()


def _longest(config: Any) -> int | None:
    """Number of tokens that a language model reads at most; None where its configuration does not say."""
    limit = getattr(config, "max_position_embeddings", None)
    if not isinstance(limit, int) or limit < 1:
        return None
    scaling = getattr(config, "rope_scaling", None) or {}
    factor = scaling.get("factor") if isinstance(scaling, dict) else None
    return int(limit * max(1.0, factor)) if isinstance(factor, int | float) else limit


def _plain_image() -> bytes:
    """An image file that no model refuses."""
    from PIL import Image

    file = io.BytesIO()
    Image.new("RGB", (224, 224), (128, 128, 128)).save(file, "PNG")
    return file.getvalue()


def _sizes(request: Request) -> str:
    sizes = [image_size(data, where=request.key) for data in request.shown_images]
    told = " and ".join(f"{width}x{height}" for width, height in sizes)
    return f"an image of {told} pixels" if len(sizes) == 1 else f"images of {told} pixels"
