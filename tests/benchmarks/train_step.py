"""A whole stage on VILA's mixture, against the Trainer of transformers with batches of similar length.

The peer is the usual script: Pillow and transformers' image processor prepare each sample, batches of eight
are grouped by length and padded. Both load one model, take as many steps, and save the model. Also: the whole
stage against its forward and backward passes alone, which tells where its time goes.
"""

from __future__ import annotations

import io
import itertools
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch.utils.data import Dataset, Sampler
from transformers import Trainer, TrainingArguments
from transformers.trainer_pt_utils import LengthGroupedSampler

from tests.benchmarks.harness import Comparison, rates
from tests.benchmarks.packed_training import IMAGE_TOKENS
from tests.benchmarks.training_data import mixed_samples, save_small_model
from vila2.data.mixtures import ViewedDataset
from vila2.data.sample import ImagePart, Sample
from vila2.data.shards import ShardDataset, write_dataset
from vila2.data.views import View
from vila2.model.conversation import ConversationEncoder
from vila2.model.encoded import IGNORED, Encoded
from vila2.model.generalist import load_generalist
from vila2.model.pixels import LARGEST_DIFFERENCE
from vila2.packing.collate import PackCollator
from vila2.packing.plan import plan_packs
from vila2.packing.trial import isolate
from vila2.recipe.parts.stage import STAGE_DEFAULTS, StageSpec
from vila2.run.board import Board
from vila2.train.stage import train_stage
from vila2.train.train_settings import TrainSettings

_COUNT, _BATCH, _LENGTH = 32, 8, 4096
_PEER = "Trainer of transformers, batches by length"
_CAUSE = "most of the time is the model's, which both need"
_ALONE = "images are opened and resized, the isolation is tried out, the optimizer steps, the model is saved"


def compare() -> Iterator[Comparison]:
    """Measures a stage that trains the projector and the language model."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        save_small_model(folder)
        write_dataset(folder / "mix", mixed_samples(_COUNT), name="mix")
        encoded = _encoded(folder)
        tokens = sum(len(one.input_ids) for one in encoded)
        usual = _UsualData(folder)
        _check(encoded, usual)
        numbers = itertools.count()

        def ours() -> int:
            results = train_stage(folder / f"stage{next(numbers)}", _SETTINGS, _inputs(folder), Board())
            assert results["samples"] == _COUNT
            return tokens

        def theirs() -> int:
            _train(usual, folder / f"usual{next(numbers)}")
            return tokens

        model = load_generalist(folder / "model", dtype="float32", device="cpu").model
        mine, peer = rates(ours, theirs, repeats=1)
        yield Comparison("train-step: a whole stage", mine, peer, "tokens/s", 2.0, _PEER, _CAUSE)
        alone, _ = rates(lambda: _passes(model, encoded), lambda: 0, repeats=1)
        yield Comparison(
            "train-step: beside the model alone", mine, alone, "tokens/s", 0.8, "its passes alone", _ALONE
        )


_SETTINGS = TrainSettings(
    name="pretrain",
    stage=StageSpec.model_validate(
        STAGE_DEFAULTS["pretrain"]
        | {"mixture": [{"dataset": "mix"}], "batch_size": _BATCH, "pack_length": _LENGTH, "deepspeed": None}
    ),
    seed=0,
    dtype="float32",
)


def _inputs(folder: Path) -> dict[str, Path]:
    return {"model": folder, "data.mix": folder / "mix"}


def _samples(folder: Path) -> list[Sample]:
    return list(ViewedDataset(ShardDataset.open(folder / "mix"), View.parse("only(original)")))


def _encoded(folder: Path) -> list[Encoded]:
    processor = load_generalist(folder / "model", dtype="float32", device="cpu").processor
    encoder = ConversationEncoder(processor, max_length=_LENGTH)
    return [encoder.encode(sample, "plain") for sample in _samples(folder)]


def _check(encoded: Sequence[Encoded], usual: _UsualData) -> None:
    """Asserts that both sides train on the same tokens, and see pixels that differ by rounding alone."""
    for number, mine in enumerate(encoded):
        theirs = usual[number]
        assert mine.input_ids == theirs["input_ids"] and mine.labels == theirs["labels"]
        difference = (mine.inputs["pixel_values"] - theirs["pixel_values"]).abs().max()
        assert difference <= (LARGEST_DIFFERENCE + 0.01) / 127.5


def _passes(model: Any, encoded: Sequence[Encoded]) -> int:
    """Passes of packs that are ready, forward and backward."""
    model.train()
    model.model.vision_tower.requires_grad_(False)
    lengths = [len(one.input_ids) for one in encoded]
    packs = plan_packs(lengths, [0] * len(lengths), capacity=_LENGTH)
    collate = PackCollator(isolate(model, max_length=_LENGTH, device=torch.device("cpu")))
    for number in range(len(packs)):
        batch = collate([[encoded[place] for place in packs[number]]])
        model(**batch, use_cache=False).loss.backward()
    model.zero_grad()
    return sum(lengths)


class _UsualData(Dataset[dict[str, Any]]):
    """Samples as a usual script prepares them: opened, resized and tokenized when they are due."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.samples = _samples(folder)
        self.processor = load_generalist(folder / "model", dtype="float32", device="cpu").processor
        self.lengths = [IMAGE_TOKENS * len(one.images) + len(_text(one)) for one in self.samples]

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, number: int) -> dict[str, Any]:
        sample, tokenizer = self.samples[number], self.processor.tokenizer
        images = [Image.open(io.BytesIO(data)).convert("RGB") for data in sample.images]
        pixels = self.processor.image_processor(images=images, return_tensors="pt")["pixel_values"]
        image = tokenizer.convert_tokens_to_ids("<image>")
        ids: list[int] = []
        labels: list[int] = []
        for part in (part for turn in sample.turns for part in turn.parts):
            if isinstance(part, ImagePart):
                ids += [image] * IMAGE_TOKENS
                labels += [IGNORED] * IMAGE_TOKENS
            else:
                said = tokenizer(part.text, add_special_tokens=False)["input_ids"]
                ids += said
                labels += said
        end = [tokenizer.eos_token_id]
        return {"input_ids": ids + end, "labels": labels + end, "pixel_values": pixels}


def _text(sample: Sample) -> str:
    return "".join(turn.text for turn in sample.turns)


def _padded(rows: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
    longest = max(len(row["input_ids"]) for row in rows)

    def filled(name: str, value: int) -> torch.Tensor:
        return torch.tensor([row[name] + [value] * (longest - len(row[name])) for row in rows])

    mask = torch.tensor([[1] * len(row["labels"]) + [0] * (longest - len(row["labels"])) for row in rows])
    return {
        "input_ids": filled("input_ids", 0),
        "labels": filled("labels", IGNORED),
        "attention_mask": mask,
        "pixel_values": torch.cat([row["pixel_values"] for row in rows]),
    }


class _ByLength(Trainer):
    """The Trainer with the sampler that LLaVA's training script gives it."""

    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler[int]:
        assert isinstance(self.train_dataset, _UsualData)
        return LengthGroupedSampler(self.args.train_batch_size, lengths=self.train_dataset.lengths)


def _train(data: _UsualData, folder: Path) -> None:
    model = load_generalist(data.folder / "model", dtype="float32", device="cpu").model
    model.model.vision_tower.requires_grad_(False)
    arguments = TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=1,
        per_device_train_batch_size=_BATCH,
        learning_rate=_SETTINGS.stage.learning_rate,
        lr_scheduler_type="cosine",
        remove_unused_columns=False,
        report_to="none",
        save_strategy="no",
        use_cpu=True,
        disable_tqdm=True,
        seed=0,
    )
    trainer = _ByLength(model=model, args=arguments, train_dataset=data, data_collator=_padded)
    trainer.train()
    trainer.save_model(str(folder / "model"))
