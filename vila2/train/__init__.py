"""Stages, the trainer, freezing, checkpoints and LoRA."""
