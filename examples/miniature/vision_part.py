"""Teaching of the miniature vision tower: per cell of 8x8 pixels, what is seen there."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from transformers import PreTrainedModel

from vila2.model.miniature import MiniatureVisionConfig, MiniatureVisionModel
from vila2.sources.world.glyphs import PITCH
from vila2.sources.world.render import render
from vila2.sources.world.scene import Scene, owners, sample_scene, sign_box
from vila2.sources.world.vocabulary import COLOURS, SHAPES, SIZES

GRID = 12
CELL = 8
LETTERS = "abcdefghijklmnopqrstuvwxyz"
#: The heads of the teaching: name -> number of classes; class 0 is "nothing".
HEADS = {
    "shape": len(SHAPES) + 1,
    "colour": len(COLOURS) + 1,
    "size": len(SIZES) + 1,
    "letter": 27,
    "centre": 2,
}
IMAGE_SETTINGS = {
    "do_resize": True,
    "size": {"height": 96, "width": 96},
    "resample": 2,
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
    "do_convert_rgb": True,
}


def cell_targets(scene: Scene) -> dict[str, np.ndarray]:
    """What each cell of a scene shows: name -> shares [GRID * GRID, classes] that sum to one.

    Shape, color and size are shares of the cell's pixels. The letter is the one whose middle lies in the
    cell. ``centre`` marks the one cell that holds the middle of an object's box.
    """
    owner, _ = owners(scene.objects)
    tiles = owner.reshape(GRID, CELL, GRID, CELL).transpose(0, 2, 1, 3).reshape(GRID * GRID, CELL * CELL)
    shares = np.stack([(tiles == number).mean(axis=1) for number in range(len(scene.objects))], axis=1)
    targets = {name: np.zeros((GRID * GRID, classes), dtype=np.float32) for name, classes in HEADS.items()}
    for number, thing in enumerate(scene.objects):
        targets["shape"][:, 1 + SHAPES.index(thing.shape)] += shares[:, number]
        targets["colour"][:, 1 + list(COLOURS).index(thing.colour)] += shares[:, number]
        targets["size"][:, 1 + list(SIZES).index(thing.size)] += shares[:, number]
        x0, y0, x1, y1 = thing.box
        targets["centre"][int((y0 + y1) / 2 * GRID) * GRID + int((x0 + x1) / 2 * GRID), 1] = 1
        place = sign_box(thing)
        for position, letter in enumerate(thing.word or ""):
            assert place is not None
            column = (place[0] + 5 + position * PITCH) // CELL
            targets["letter"][(place[1] + 5) // CELL * GRID + column, 1 + LETTERS.index(letter)] = 1
    for target in targets.values():
        target[:, 0] = 1 - target[:, 1:].sum(axis=1)
    return targets


def _batch(split_seed: int, start: int, count: int) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    scenes = [sample_scene("vision", split_seed, index) for index in range(start, start + count)]
    images = torch.from_numpy(np.stack([np.asarray(render(scene)) for scene in scenes])).permute(0, 3, 1, 2)
    targets = [cell_targets(scene) for scene in scenes]
    return images, {name: torch.from_numpy(np.stack([one[name] for one in targets])) for name in HEADS}


def batches(seed: int, size: int) -> Iterator[tuple[torch.Tensor, dict[str, torch.Tensor]]]:
    """Endless batches of fresh scenes of the "vision" split: normalised pixels [B, 3, 96, 96] and targets."""
    start = 0
    with ThreadPoolExecutor(1) as ahead:
        coming = ahead.submit(_batch, seed, start, size)
        while True:
            images, targets = coming.result()
            start += size
            coming = ahead.submit(_batch, seed, start, size)
            yield images.float() / 127.5 - 1, targets


def loss_of(logits: dict[str, torch.Tensor], targets: dict[str, torch.Tensor]) -> torch.Tensor:
    """Sum over heads of the soft cross-entropy; cells that show nothing are weighted down, there are many."""
    total = torch.zeros(())
    for name, logit in logits.items():
        target = targets[name]
        weight = 0.15 + 0.85 * (1 - target[..., 0])
        loss = -(target * F.log_softmax(logit, dim=-1)).sum(-1)
        total = total + (loss * weight).sum() / weight.sum()
    return total


@torch.no_grad()
def probe(model: MiniatureVisionModel, heads: nn.ModuleDict, count: int = 500) -> dict[str, float]:
    """Accuracy per head on fresh scenes, over the cells that mostly show something, and on empty cells."""
    model.eval()
    right: dict[str, list[float]] = {name: [0, 0, 0, 0] for name in HEADS}
    for start in range(0, count, 50):
        images, targets = _batch(999, start, 50)
        hidden = model(images.float() / 127.5 - 1).last_hidden_state
        for name, head in heads.items():
            guess, target = head(hidden).argmax(-1), targets[name]
            best, shown = target.argmax(-1), target.max(-1).values > 0.6
            full, empty = shown & (best > 0), shown & (best == 0)
            tally = right[name]
            tally[0] += float((guess == best)[full].sum())
            tally[1] += float(full.sum())
            tally[2] += float((guess == best)[empty].sum())
            tally[3] += float(empty.sum())
    model.train()
    scores = {f"{name} (cells showing one)": tally[0] / tally[1] for name, tally in right.items()}
    scores.update({f"{name} (empty cells)": tally[2] / tally[3] for name, tally in right.items()})
    return {name: round(score, 4) for name, score in scores.items()}


def save_half(model: PreTrainedModel, out: Path) -> None:
    """Write a model's weights in fp16, with a configuration that loads them as fp32."""
    model.eval().half().save_pretrained(out)
    config = json.loads((out / "config.json").read_text())
    (out / "config.json").write_text(json.dumps({**config, "dtype": "float32"}, indent=2) + "\n")


def make_vision(out: Path, minutes: float, seed: int = 0, batch: int = 48, rate: float = 3e-3) -> None:
    """Train the tower for ``minutes`` and write it to ``out`` with its probe scores.

    The form is Hugging Face's, in fp16.
    """
    torch.manual_seed(seed)
    model = MiniatureVisionModel(MiniatureVisionConfig(frozen_statistics=False)).to(
        memory_format=torch.channels_last
    )
    heads = nn.ModuleDict(
        {name: nn.Linear(model.config.hidden_size, classes) for name, classes in HEADS.items()}
    )
    parameters = [*model.parameters(), *heads.parameters()]
    optimiser = torch.optim.AdamW(parameters, lr=rate, weight_decay=0.02)
    print(f"{sum(p.numel() for p in model.parameters()):,} parameters", flush=True)
    begin = time.monotonic()
    for step, (images, targets) in enumerate(batches(seed, batch), start=1):
        done = (time.monotonic() - begin) / (60 * minutes)
        if done >= 1:
            break
        for group in optimiser.param_groups:  # the schedule runs on the clock, since the budget is minutes
            group["lr"] = rate * min(1, step / 100) * (1 - done) ** 1.0
        hidden = model(images.contiguous(memory_format=torch.channels_last)).last_hidden_state
        loss = loss_of({name: head(hidden) for name, head in heads.items()}, targets)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 5.0)
        optimiser.step()
        if step % 50 == 0:
            print(f"step {step} images {step * batch} loss {loss.item():.3f} done {done:.2f}", flush=True)
    scores = probe(model, heads)
    print(json.dumps(scores, indent=1))
    model.config.frozen_statistics = True
    save_half(model, out)
    processor = {"image_processor_type": "ViTImageProcessorPil", **IMAGE_SETTINGS}
    (out / "preprocessor_config.json").write_text(json.dumps(processor, indent=2) + "\n")
    record = {
        "scenes": (step - 1) * batch,
        "steps": step - 1,
        "batch": batch,
        "minutes": minutes,
        "seed": seed,
    }
    (out / "teaching.json").write_text(json.dumps({**record, "probe": scores}, indent=2) + "\n")
