"""Two steps of TRL's SFTTrainer on the export: ``python trl_steps.py FOLDER``, in TRL's own environment."""

from __future__ import annotations

import sys
from pathlib import Path

from datasets import load_dataset
from transformers import AutoModelForImageTextToText, AutoProcessor
from trl import SFTConfig, SFTTrainer


def main(folder: Path) -> None:
    """Trains, and fails where a step saw no image or gave no loss."""
    rows = load_dataset(str(folder / "trl"), split="train")
    assert rows[0]["images"][0].size, "the images are not decoded"
    model = AutoModelForImageTextToText.from_pretrained(folder / "model")
    seen = []
    model.register_forward_pre_hook(
        lambda module, args, kwargs: seen.append(kwargs["pixel_values"].shape[0]), with_kwargs=True
    )
    settings = SFTConfig(
        output_dir=str(folder / "trl-run"),
        max_steps=2,
        per_device_train_batch_size=2,
        gradient_checkpointing=False,
        max_length=None,
        bf16=False,
        use_cpu=True,
        report_to=[],
        save_strategy="no",
    )
    processor = AutoProcessor.from_pretrained(folder / "model")
    trainer = SFTTrainer(model, args=settings, train_dataset=rows, processing_class=processor)
    loss = trainer.train().training_loss
    assert len(seen) == 2 and all(seen), seen
    assert 0 < loss < 100, loss
    print(f"trl: 2 steps on {len(rows)} rows, loss {loss:.2f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
