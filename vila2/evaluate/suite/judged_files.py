"""Benchmarks that a judge decides: LLaVA-Bench (in the wild) and MM-Vet. Their answers are written for it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vila2.data.atomic import write_json_atomic, write_text_atomic
from vila2.data.parsing import parsing
from vila2.evaluate.suite.answer_files import Questions
from vila2.evaluate.suite.published_files import ImageFolder, json_lines, json_of, needed_file
from vila2.evaluate.suite.published_question import AnsweredQuestion, PublishedQuestion

_WRONG = "fetch the authors' file again"


def read_llava_bench(folder: Path, shared: Path) -> Questions:
    """LLaVA-Bench: questions.jsonl with its images."""
    file, images = needed_file(folder, "questions.jsonl"), ImageFolder(folder)
    for row in json_lines(file):
        with parsing(file, hint=_WRONG):
            item = str(row["question_id"])
            image = images.read(row["image"], item)
            if isinstance(image, bytes):
                yield PublishedQuestion(item, row["image"], row["text"], (image,), (), group=row["category"])
            else:
                yield image


def read_mm_vet(folder: Path, shared: Path) -> Questions:
    """MM-Vet: mm-vet.json with its images."""
    file, images = needed_file(folder, "mm-vet.json"), ImageFolder(folder)
    with parsing(file, hint=_WRONG):
        for item, row in json_of(file).items():
            image = images.read(row["imagename"], item)
            if isinstance(image, bytes):
                yield PublishedQuestion(item, row["imagename"], row["question"], (image,), ())
            else:
                yield image


def write_llava_bench(answered: Sequence[AnsweredQuestion], model: str, folder: Path) -> Path:
    """Writes answers as ``llava.eval.eval_gpt_review_bench`` reads them."""
    path = folder / "llava-bench-answers.jsonl"
    rows: list[dict[str, Any]] = [
        {"question_id": int(one.item), "prompt": one.prompt, "text": text, "model_id": model}
        for one, text in answered
    ]
    write_text_atomic(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return path


def write_mm_vet(answered: Sequence[AnsweredQuestion], model: str, folder: Path) -> Path:
    """Writes answers as the authors' evaluator reads them."""
    path = folder / "mm-vet-answers.json"
    write_json_atomic(path, {one.item: text for one, text in answered})
    return path
