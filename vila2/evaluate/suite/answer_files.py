"""Benchmarks of short answers: VQAv2, GQA, VizWiz, TextVQA."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from vila2.data.parsing import parsing
from vila2.data.rejects import Reject
from vila2.evaluate.suite.published_files import (
    ImageFolder,
    find_file,
    image_of_row,
    json_of,
    needed_file,
    parquet_of,
    rows_of,
)
from vila2.evaluate.suite.published_question import PublishedQuestion

#: What follows a question, as LLaVA-1.5 asks it, and with it VILA and lmms-eval.
SHORT = "\nAnswer the question using a single word or phrase."
UNANSWERABLE = "\nWhen the provided information is insufficient, respond with 'Unanswerable'." + SHORT
_WRONG = "fetch the authors' file again"

Questions = Iterator[PublishedQuestion | Reject]


def read_vqav2(folder: Path, shared: Path) -> Questions:
    """VQAv2's validation half: the authors' JSON with COCO's val2014, or lmms-lab's Parquet."""
    tables = parquet_of(folder, "validation-*", "val-*")
    if tables:
        for where, row in rows_of(tables):
            with parsing(where, hint=_WRONG):
                item, people = str(row["question_id"]), _people(row["answers"])
                image = image_of_row(row["image"], where, item)
                yield _question(item, str(row["image_id"]), row["question"] + SHORT, image, people)
        return
    file = needed_file(folder, "v2_OpenEnded_mscoco_val2014_questions.json", "*questions.json")
    notes = needed_file(folder, "v2_mscoco_val2014_annotations.json", "*annotations.json")
    images = ImageFolder(folder, shared)
    with parsing(notes, hint=_WRONG):
        answers = {one["question_id"]: _people(one["answers"]) for one in json_of(notes)["annotations"]}
    with parsing(file, hint=_WRONG):
        for row in json_of(file)["questions"]:
            item, name = str(row["question_id"]), f"COCO_val2014_{row['image_id']:012d}.jpg"
            image = images.read(name, item)
            yield _question(item, name, row["question"] + SHORT, image, answers[row["question_id"]])


def read_gqa(folder: Path, shared: Path) -> Questions:
    """GQA's balanced test-dev: the authors' JSON with their images, or lmms-lab's two tables."""
    file = find_file(folder, "testdev_balanced_questions.json")
    if file is not None:
        images = ImageFolder(folder)
        with parsing(file, hint=_WRONG):
            for item, row in json_of(file).items():
                name = f"{row['imageId']}.jpg"
                yield _question(
                    item, name, row["question"] + SHORT, images.read(name, item), (row["answer"],)
                )
        return
    pictures: dict[str, Any] = {}
    for where, row in rows_of(parquet_of(folder, "testdev_balanced_images/*", "*images*")):
        with parsing(where, hint=_WRONG):
            pictures[str(row["id"])] = row["image"]
    for where, row in rows_of(parquet_of(folder, "testdev_balanced_instructions/*", "*instructions*")):
        with parsing(where, hint=_WRONG):
            item, name = str(row["id"]), str(row["imageId"])
            image = image_of_row(pictures.get(name), where, item)
            yield _question(item, name, row["question"] + SHORT, image, (row["answer"],))


def read_vizwiz(folder: Path, shared: Path) -> Questions:
    """VizWiz's validation set: the authors' val.json with their images, or lmms-lab's Parquet."""
    file = find_file(folder, "val.json")
    if file is not None:
        images = ImageFolder(folder)
        with parsing(file, hint=_WRONG):
            for row in json_of(file):
                name, prompt = row["image"], row["question"].capitalize() + UNANSWERABLE
                yield _question(name, name, prompt, images.read(name, name), _people(row["answers"]))
        return
    for where, row in rows_of(parquet_of(folder, "val-*", "validation-*")):
        with parsing(where, hint=_WRONG):
            item, prompt = str(row["question_id"]), row["question"].capitalize() + UNANSWERABLE
            image = image_of_row(row["image"], where, item)
            yield _question(item, item, prompt, image, _people(row["answers"]))


def read_textvqa(folder: Path, shared: Path) -> Questions:
    """TextVQA's validation set: the authors' JSON with the training images, or lmms-lab's Parquet."""
    file = find_file(folder, "TextVQA_0.5.1_val.json", "*TextVQA*val*.json")
    if file is not None:
        images = ImageFolder(folder)
        with parsing(file, hint=_WRONG):
            for row in json_of(file)["data"]:
                item, name = str(row["question_id"]), f"{row['image_id']}.jpg"
                prompt = row["question"].capitalize() + SHORT
                yield _question(item, name, prompt, images.read(name, item), _people(row["answers"]))
        return
    for where, row in rows_of(parquet_of(folder, "validation-*", "val-*")):
        with parsing(where, hint=_WRONG):
            item, prompt = str(row["question_id"]), row["question"].capitalize() + SHORT
            image = image_of_row(row["image"], where, item)
            yield _question(item, str(row["image_id"]), prompt, image, _people(row["answers"]))


def _people(answers: Sequence[Any]) -> tuple[str, ...]:
    """People's answers, which are texts or objects that hold one."""
    return tuple(str(one["answer"] if isinstance(one, dict) else one) for one in answers)


def _question(
    item: str, name: str, prompt: str, image: bytes | Reject, answers: tuple[str, ...]
) -> PublishedQuestion | Reject:
    if isinstance(image, Reject):
        return image
    return PublishedQuestion(item, name, prompt, (image,), answers)
