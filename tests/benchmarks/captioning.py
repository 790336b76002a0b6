"""Captions by the engine `transformers`, against the usual script: the same batches, padded to their longest.

Answers of the model, which has random weights, are of 1 to 120 tokens. Both sides say the same. Then a layer
of photos, from images to files, against the generation alone of batches that are ready.
"""

from __future__ import annotations

import io
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from PIL import Image

from tests.benchmarks.decode import made_photo
from tests.benchmarks.harness import REPEATS, Comparison, rates
from tests.caption.tiny_llava import build_tiny_llava, picture
from vila2.caption.recaption import recaption
from vila2.data.sample import ImagePart, Sample, assistant, user
from vila2.data.shards import ShardDataset, write_dataset
from vila2.engine.protocol import Answer, GenerationSettings, Request
from vila2.engine.transformers_engine import Prepared, TransformersEngine, open_transformers

_BATCH = 64
_IMAGES = 2 * _BATCH
LONGEST = 120
_PHOTOS = 128
_FILLED = 0.85  # smallest share of slots with a token that is needed


def compare() -> Iterator[Comparison]:
    """Measures tokens a second, and counts the slots that were computed for them."""
    with tempfile.TemporaryDirectory() as folder:
        build_tiny_llava(Path(folder), width=256)
        engine = open_transformers(folder, dtype="float32", device="cpu")
        yield from _compare(engine)
        yield from _layer(engine, Path(folder))


def _compare(engine: TransformersEngine) -> Iterator[Comparison]:
    requests = [
        Request(str(number), (picture(number),), "what is it " * (number % 5)) for number in range(_IMAGES)
    ]
    said: dict[str, list[str]] = {}
    slots = {"ours": 0, "usual": 0}
    side = "ours"

    def count(module: torch.nn.Module, args: object, inputs: dict[str, torch.Tensor]) -> None:
        slots[side] += len(inputs["input_ids"])

    counting = engine.model.register_forward_pre_hook(count, with_kwargs=True)
    answers = _ours(engine, requests)
    said["ours"], tokens = [answer.text for answer in answers], _tokens(answers)
    side = "usual"
    said["usual"] = usual_captions(engine, requests)
    counting.remove()
    assert said["ours"] == said["usual"]
    filled = {name: tokens / computed for name, computed in slots.items()}
    assert filled["ours"] >= _FILLED

    def ours() -> int:
        return _tokens(_ours(engine, requests))

    def usual() -> int:
        usual_captions(engine, requests)
        return tokens

    rate, peer = rates(ours, usual)
    name = f"captioning: batches of 64, tokens over slots {filled['ours']:.2f} and {filled['usual']:.2f}"
    yield Comparison(name, rate, peer, "tokens/s", 1.6, "usual script", "slots without a token")


_CAUSE = "decoding and tokenizing need a core of their own, and share one beside another benchmark"


def _layer(engine: TransformersEngine, folder: Path) -> Iterator[Comparison]:
    """Writes a layer of photos; in seconds of the clock, since preparing overlaps with generating."""
    photos = (
        Sample(f"{number:04d}", (made_photo(number),), (user(ImagePart()), assistant("photo")))
        for number in range(_PHOTOS)
    )
    write_dataset(folder / "photos", photos, name="photos", shard_size=_PHOTOS // 2)
    dataset = ShardDataset.open(folder / "photos")
    settings = GenerationSettings(max_new_tokens=LONGEST)
    prompts = ["what is it", "what is it, and where"]
    prepared: list[Prepared] = []
    prepare = engine.prepare_batch

    def kept(requests: list[Request], settings: GenerationSettings) -> Prepared:
        prepared.append(prepare(requests, settings))
        return prepared[-1]

    def written(number: int) -> None:
        recaption(
            dataset, engine, folder=folder / f"layer-{number}", layer="self-1", prompts=prompts,
            settings=settings, seed=0, batch_size=_BATCH,
        )  # fmt: skip

    engine.prepare_batch = kept  # type: ignore[method-assign, assignment]
    written(0)
    engine.prepare_batch = prepare  # type: ignore[method-assign]

    def generated() -> None:
        for batch in prepared:
            engine.answer_prepared(batch, settings)

    whole, alone = [], []
    for number in range(1, REPEATS + 1):
        whole.append(_seconds(lambda number=number: written(number)))  # type: ignore[misc]
        alone.append(_seconds(generated))
    for place, clock in enumerate(("wall", "CPU of the generating thread")):
        ours, peer = (_PHOTOS / statistics.median(one[place] for one in side) for side in (whole, alone))
        yield Comparison(
            f"captioning: a layer, {clock}", ours, peer, "images/s", 0.95, "generation alone", _CAUSE
        )


def _seconds(work: Callable[[], None]) -> tuple[float, float]:
    """Seconds of the clock and of this thread."""
    started, used = time.perf_counter(), time.thread_time()
    work()
    return time.perf_counter() - started, time.thread_time() - used


def _ours(engine: TransformersEngine, requests: list[Request]) -> list[Answer]:
    settings = GenerationSettings(max_new_tokens=LONGEST)
    return [answer for batch in _batches(requests) for answer in engine.generate(batch, settings)]


def usual_captions(engine: TransformersEngine, requests: list[Request]) -> list[str]:
    """Opens, prepares and generates a batch with what `transformers` shows in its manual."""
    said: list[str] = []
    for batch in _batches(requests):
        messages = [
            [{"role": "user", "content": [{"type": "image", "image": image}, {"type": "text", "text": text}]}]
            for image, text in ((Image.open(io.BytesIO(one.images[0])), one.prompt) for one in batch)
        ]
        inputs = engine.processor.apply_chat_template(
            messages,
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
            processor_kwargs={"padding": True, "padding_side": "left"},
        )
        inputs.pop("token_type_ids", None)
        with torch.inference_mode():
            output = engine.model.generate(
                **inputs,
                max_new_tokens=LONGEST,
                do_sample=False,
                repetition_penalty=1.0,
                eos_token_id=engine.end_tokens,
            )
        texts = engine.processor.batch_decode(
            output[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True
        )
        said += [text.strip() for text in texts]
    return said


def _batches(requests: list[Request]) -> Iterator[list[Request]]:
    for start in range(0, len(requests), _BATCH):
        yield requests[start : start + _BATCH]


def _tokens(answers: list[Answer]) -> int:
    """Number of tokens that were needed, ends included."""
    return sum(answer.tokens + (answer.finish == "stop") for answer in answers)
