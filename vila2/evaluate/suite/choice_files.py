"""Benchmarks of choices: ScienceQA, MMBench in two languages, SEED, MMMU."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from vila2.data.parsing import parsing
from vila2.data.rejects import Reject
from vila2.evaluate.suite.answer_files import SHORT, Questions
from vila2.evaluate.suite.published_files import (
    ImageFolder,
    find_file,
    image_of_row,
    images_of_row,
    json_of,
    needed_file,
    parquet_of,
    rows_of,
)
from vila2.evaluate.suite.published_question import PublishedQuestion
from vila2.sources.image_values import is_empty

LETTER = "\nAnswer with the option's letter from the given choices directly."
LETTER_CN = "\n请直接回答选项字母。"
_WRONG = "fetch the authors' file again"
_LETTERS = "ABCDEFGHIJ"
#: Rows of MMBench that ask a question again with its choices turned have the number of the first plus this.
CIRCULAR = 10**6


def read_scienceqa(folder: Path, shared: Path) -> Questions:
    """ScienceQA's test questions with an image: problems.json with the images, or lmms-lab's Parquet."""
    file = find_file(folder, "problems.json")
    if file is None:
        for where, row in rows_of(parquet_of(folder, "ScienceQA-IMG/test-*", "test-*")):
            with parsing(where, hint=_WRONG):
                if not is_empty(row["image"]):
                    item = where.rpartition("/")[2]
                    yield _science(item, row, image_of_row(row["image"], where, item))
        return
    splits = needed_file(folder, "pid_splits.json")
    with parsing(file, hint=_WRONG):
        problems, tests = json_of(file), json_of(splits)["test"]
        for item in tests:
            row = problems[item]
            if row["image"]:
                # Every image has the same name, in a folder of its question's number.
                images = ImageFolder(*(path.parent for path in _science_files(folder, item, row["image"])))
                yield _science(item, row, images.read(row["image"], item))


def _science_files(folder: Path, item: str, name: str) -> Iterator[Path]:
    for base in (folder / "test", folder / "images" / "test", folder / "images", folder):
        if (base / item / name).is_file():
            yield base / item / name


def _science(item: str, row: Mapping[str, Any], image: bytes | Reject) -> PublishedQuestion | Reject:
    context = f"Context: {row['hint']}\n" if row.get("hint") else ""
    choices = dict(zip(_LETTERS, row["choices"], strict=False))
    prompt = f"{context}{row['question']}\n{_lines(choices)}{LETTER}"
    return _question(item, item, prompt, image, (_LETTERS[row["answer"]],), choices)


def _read_mmbench(folder: Path, shared: Path, *, names: Sequence[str], config: str, ask: str) -> Questions:
    """MMBench's development half: the authors' TSV, or lmms-lab's Parquet."""
    file = find_file(folder, *names)
    tables = [file] if file else parquet_of(folder, f"{config}/dev-*", "dev-*")
    by_number: dict[str, Any] = {}
    for where, row in rows_of(tables):
        with parsing(where, hint=_WRONG):
            item, picture = str(row["index"]), row["image"]
            if int(item) < CIRCULAR:
                by_number[item] = picture
            elif isinstance(picture, str) and picture in by_number:
                picture = by_number[picture]  # the file names the row that has it
            choices = {letter: str(row[letter]) for letter in "ABCDE" if _is_text(row.get(letter))}
            hint = f"{row['hint']}\n" if _is_text(row.get("hint")) else ""
            prompt = f"{hint}{row['question']}\n{_lines(choices)}{ask}"
            first = str(int(item) % CIRCULAR)
            image = image_of_row(picture, where, item)
            yield _question(item, first, prompt, image, (row["answer"],), choices, str(row["category"]))


read_mmbench = partial(
    _read_mmbench,
    names=("MMBench_DEV_EN*.tsv", "mmbench_dev_2*.tsv", "mmbench_dev_en*.tsv"),
    config="en",
    ask=LETTER,
)
read_mmbench_cn = partial(
    _read_mmbench, names=("MMBench_DEV_CN*.tsv", "mmbench_dev_cn*.tsv"), config="cn", ask=LETTER_CN
)


def read_seed(folder: Path, shared: Path) -> Questions:
    """The image questions of SEED-Bench: the authors' JSON with their images, or lmms-lab's Parquet."""
    file = find_file(folder, "SEED-Bench.json")
    if file is not None:
        images = ImageFolder(folder)
        with parsing(file, hint=_WRONG):
            for row in json_of(file)["questions"]:
                item, name = str(row["question_id"]), str(row["data_id"])
                if row["data_type"] != "image":
                    yield Reject(str(file), item, "video", "questions about videos are not asked")
                    continue
                yield _seed(item, name, row, images.read(name, item))
        return
    for where, row in rows_of(parquet_of(folder, "test-*", "*")):
        with parsing(where, hint=_WRONG):
            item = str(row["question_id"])
            if row["data_type"] != "image":
                yield Reject(where, item, "video", "questions about videos are not asked")
                continue
            found = images_of_row(row["image"], where, item)
            image = found if isinstance(found, Reject) else found[0]
            yield _seed(item, str(row["data_id"]), row, image)


def _seed(item: str, name: str, row: Mapping[str, Any], image: bytes | Reject) -> PublishedQuestion | Reject:
    choices = {letter: str(row[f"choice_{letter.lower()}"]) for letter in "ABCD"}
    prompt = f"{row['question']}\n{_lines(choices)}{LETTER}"
    group = str(row.get("question_type_id", ""))
    return _question(item, name, prompt, image, (row["answer"],), choices, group)


def read_mmmu(folder: Path, shared: Path) -> Questions:
    """MMMU's validation set: the authors' Parquet of every subject, or lmms-lab's of all."""
    for where, row in rows_of(parquet_of(folder, "validation-*")):
        with parsing(where, hint=_WRONG):
            item, options = row["id"], _options(row["options"])
            subject = item.partition("_")[2].rpartition("_")[0]
            is_choice = row["question_type"] == "multiple-choice"
            choices = dict(zip(_LETTERS, options, strict=False)) if is_choice else {}
            asked = f"{row['question']}\n{_lines(choices)}" if choices else row["question"]
            prompt = f"{asked}\n{LETTER if choices else SHORT}"
            # In the order in which the question names them.
            names = dict.fromkeys(re.findall(r"<(image \d+)>", asked))
            values = [row.get(name.replace(" ", "_")) for name in names]
            images = images_of_row(values, where, item)
            if isinstance(images, Reject):
                yield images
                continue
            answers = tuple(map(str, _options(row["answer"]))) if not choices else (row["answer"],)
            yield PublishedQuestion(item, item, prompt, images, answers, choices, subject)


def _options(text: str | Sequence[str]) -> list[str]:
    """A list that the file holds as Python text, or a single value."""
    if isinstance(text, str) and text[:1] == "[":
        return [str(one) for one in ast.literal_eval(text)]
    return [text] if isinstance(text, str) else list(text)


def _is_text(value: object) -> bool:
    return not is_empty(value) and value == value and str(value) != "nan"


def _lines(choices: Mapping[str, str]) -> str:
    return "\n".join(f"{letter}. {text}" for letter, text in choices.items())


def _question(
    item: str,
    name: str,
    prompt: str,
    image: bytes | Reject,
    answers: tuple[str, ...],
    choices: Mapping[str, str],
    group: str = "",
) -> PublishedQuestion | Reject:
    if isinstance(image, Reject):
        return image
    return PublishedQuestion(item, name, prompt, (image,), answers, choices, group)
