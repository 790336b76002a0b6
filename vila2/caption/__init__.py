"""Captioning: engines, prompts, marks, and the jobs that write captions for datasets and folders."""
