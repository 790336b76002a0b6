"""Useful tokens a second of training on packs, and of the usual random batches padded to their longest.

    python -m tests.benchmarks.packed_training
    python -m tests.benchmarks.packed_training --device cuda --size 1b --json packed.json

Both ways train one model of our family with random weights on the same samples, turn about, so that a
disturbance of the machine meets both: projector and language model learn, the vision tower is frozen. A
token is useful if it belongs to a sample; padding does not count. On a CPU seconds are those of the
process, so that other work on the machine counts less.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from transformers import LlamaConfig, SiglipVisionConfig

from tests.benchmarks.harness import Comparison
from vila2.model.configuration import Vila2Config
from vila2.model.encoded import IGNORED, Encoded
from vila2.model.modeling import Vila2ForConditionalGeneration
from vila2.packing.collate import Collator, PackCollator
from vila2.packing.plan import plan_packs
from vila2.packing.trial import isolate

PIXELS, PATCH, IMAGE_TOKENS = 384, 14, 196  # 27 x 27 patches, padded to 28 x 28, are 14 x 14 tokens
TEXT = {  # hidden, layers, heads, key heads, inner, vocabulary
    "small": (256, 4, 4, 2, 688, 4096),
    "1b": (2048, 16, 32, 8, 8192, 128256),
    "3b": (3072, 28, 24, 8, 8192, 128256),
}
TOWER = {"small": (64, 2, 4, 128), "1b": (1152, 27, 16, 4304), "3b": (1152, 27, 16, 4304)}
PEAK = {"H100": 989e12, "H200": 989e12, "A100": 312e12, "L40": 181e12, "4090": 165e12}  # bf16, dense


def compare() -> Iterator[Comparison]:
    """Measures few samples of the mixture on the CPU."""
    result = measure(arguments(["--samples", "24", "--rounds", "2"]))
    packed_rate, padded_rate = (result[name]["useful_tokens_per_second"] for name in ("packed", "padded"))
    yield Comparison(
        "packed-training: useful tokens", packed_rate, padded_rate, "tokens/s", 2.0, "random batches of 8"
    )


def main() -> None:
    asked = arguments()
    result = measure(asked)
    show(result)
    if asked.json:
        with open(asked.json, "w") as file:
            json.dump(result, file, indent=1)


def measure(asked: argparse.Namespace) -> dict[str, Any]:
    """Trains both ways in turn, and says how fast each was."""
    torch.manual_seed(0)
    if asked.device == "cpu":
        torch.set_num_threads(asked.threads)
    model = build(asked)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=1e-5, fused=asked.device == "cuda")
    samples = mixture(asked.mix, asked.samples, asked.capacity, model.config)
    isolation = isolate(model, max_length=asked.capacity, device=torch.device(asked.device))
    if asked.compile:
        for layer in model.model.language_model.layers:
            layer.compile(dynamic=True)
    ways = {
        "padded": lambda seed: padded(samples, asked.batch, seed),
        "packed": lambda seed: packed(samples, asked.capacity, seed, PackCollator(isolation)),
    }
    useful = sum(len(sample.input_ids) for sample in samples)
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    slots: dict[str, int] = {}
    for turn in range(asked.rounds + 1):  # the first warms up
        for name, batches in ways.items():
            taken, slots[name] = one_round(model, optimiser, batches(turn), asked.device)
            if turn:
                seconds[name].append(taken)
    peak = next((peak for name, peak in PEAK.items() if name in device_name(asked.device)), None)
    work = useful_operations(model, samples)
    rows = {
        name: {
            "useful_share": useful / slots[name],
            "useful_tokens_per_second": useful / statistics.median(seconds[name]),
            "mfu": work / statistics.median(seconds[name]) / peak if peak else None,
            "seconds": seconds[name],
        }
        for name in ways
    }
    ratios = [before / after for before, after in zip(seconds["padded"], seconds["packed"], strict=True)]
    return {
        "settings": vars(asked),
        "device": device_name(asked.device),
        "torch": torch.__version__,
        "isolation": isolation.kind,
        "samples": len(samples),
        "useful_tokens": useful,
        **rows,
        "ratio": statistics.median(ratios),
        "ratios": ratios,
    }


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--size", choices=TEXT, default="small", help="of the language model")
    parser.add_argument("--mix", choices=("interleaved", "captions"), default="interleaved",
                        help="81%% image-text pairs, 19%% interleaved documents; or pairs alone")  # fmt: skip
    parser.add_argument("--samples", type=int, default=48, help="in a round")
    parser.add_argument("--batch", type=int, default=8, help="samples in a padded batch")
    parser.add_argument("--capacity", type=int, default=4096, help="tokens in a pack")
    parser.add_argument("--rounds", type=int, default=3, help="that are counted")
    parser.add_argument("--threads", type=int, default=1, help="on the CPU")
    parser.add_argument("--compile", action=argparse.BooleanOptionalAction, default=None,
                        help="torch.compile of the decoder's layers; by default on a GPU")  # fmt: skip
    parser.add_argument("--json", help="file for the figures")
    asked = parser.parse_args(given)
    if asked.compile is None:
        asked.compile = asked.device == "cuda"
    return asked


def build(asked: argparse.Namespace) -> Vila2ForConditionalGeneration:
    hidden, layers, heads, key_heads, inner, vocabulary = TEXT[asked.size]
    text = LlamaConfig(
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=key_heads,
        intermediate_size=inner,
        vocab_size=vocabulary,
        max_position_embeddings=asked.capacity,
    )
    hidden, layers, heads, inner = TOWER[asked.size]
    vision = SiglipVisionConfig(
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=inner,
        image_size=PIXELS,
        patch_size=PATCH,
    )
    config = Vila2Config(vision_config=vision, text_config=text, image_token_id=vocabulary - 1)
    kind = torch.bfloat16 if asked.device == "cuda" else torch.float32
    with torch.device(asked.device):
        model = Vila2ForConditionalGeneration(config).to(kind)
    model.model.vision_tower.requires_grad_(False)
    return model.train()


def mixture(mix: str, count: int, capacity: int, config: Vila2Config) -> list[Encoded]:
    """Samples of random tokens, with the lengths of image-text pairs and of interleaved documents."""
    dice = np.random.default_rng(0)
    samples = []
    for _ in range(count):
        pair = mix == "captions" or dice.random() < 0.81
        images = 1 if pair else int(dice.integers(2, 7))
        words = int(dice.lognormal(4, 0.7) if pair else dice.lognormal(6, 0.6)) + 1
        ids: list[int] = []
        labels: list[int] = []
        for share in np.array_split(dice.integers(3, config.text_config.vocab_size - 1, words), images):
            ids += [config.image_token_id] * IMAGE_TOKENS + share.tolist()
            labels += [IGNORED] * IMAGE_TOKENS + share.tolist()
        if len(ids) <= capacity:
            pixels = torch.rand(
                images, 3, PIXELS, PIXELS, generator=torch.Generator().manual_seed(len(samples))
            )
            samples.append(Encoded(ids, labels, inputs={"pixel_values": pixels}))
    return samples


def padded(samples: list[Encoded], batch: int, seed: int) -> Iterator[dict[str, Any]]:
    """Random batches."""
    order = np.random.default_rng(seed).permutation(len(samples))
    for start in range(0, len(order), batch):
        yield Collator(0)([samples[number] for number in order[start : start + batch]])


def packed(
    samples: list[Encoded], capacity: int, seed: int, collator: PackCollator
) -> Iterator[dict[str, Any]]:
    """Packs, planned for the samples of this round."""
    packs = plan_packs([len(s.input_ids) for s in samples], [0] * len(samples), capacity=capacity, seed=seed)
    for number in range(len(packs)):
        yield collator([[samples[sample] for sample in packs[number]]])


def one_round(
    model: Any, optimiser: Any, batches: Iterator[dict[str, Any]], device: str
) -> tuple[float, int]:
    """Trains on batches; seconds, and how many tokens were computed, padding included."""
    ready = [
        {name: value.to(device) if torch.is_tensor(value) else value for name, value in batch.items()}
        for batch in batches
    ]
    clock = time.process_time if device == "cpu" else time.perf_counter
    synchronise(device)
    start = clock()
    for batch in ready:
        model(**batch, use_cache=False).loss.backward()
        optimiser.step()
        optimiser.zero_grad()
    synchronise(device)
    return clock() - start, sum(batch["input_ids"].numel() for batch in ready)


def useful_operations(model: Vila2ForConditionalGeneration, samples: list[Encoded]) -> float:
    """Counts operations of a step without padding: 6 per weight and token, attention, the tower's forward."""
    text = model.config.text_config
    body = sum(p.numel() for p in model.model.language_model.layers.parameters())
    head = model.lm_head.weight.numel()
    tower = sum(p.numel() for p in model.model.vision_tower.parameters())
    patches = (PIXELS // PATCH) ** 2
    total = 0.0
    for sample in samples:
        length = len(sample.input_ids)
        counted = sum(label != IGNORED for label in sample.labels)
        images = sample.inputs["pixel_values"].shape[0]
        # Two products of L x L / 2 with each layer's heads, forward once and backward twice.
        attention = 6 * text.num_hidden_layers * text.hidden_size * length**2
        total += 6 * body * length + 6 * head * counted + attention + 2 * tower * patches * images
    return total


def device_name(device: str) -> str:
    return torch.cuda.get_device_name() if device == "cuda" else f"CPU, {torch.get_num_threads()} thread(s)"


def synchronise(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def show(result: dict[str, Any]) -> None:
    settings = result["settings"]
    print(
        f"{settings['size']}, {settings['mix']}, {result['samples']} samples of {result['useful_tokens']} "
        f"tokens, {result['device']}, torch {result['torch']}"
    )
    print(f"{'':8} {'useful':>7} {'useful tok/s':>14} {'MFU':>7}")
    for name in ("padded", "packed"):
        row = result[name]
        mfu = f"{row['mfu']:.1%}" if row["mfu"] else "-"
        print(f"{name:8} {row['useful_share']:>7.1%} {row['useful_tokens_per_second']:>14,.0f} {mfu:>7}")
    spread = f"{min(result['ratios']):.2f} to {max(result['ratios']):.2f}"
    print(f"packed / padded: {result['ratio']:.2f} ({spread} over {len(result['ratios'])} rounds)")


if __name__ == "__main__":
    main()
