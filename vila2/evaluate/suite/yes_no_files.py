"""Benchmarks of yes and no: POPE and MME."""

from __future__ import annotations

from pathlib import Path

from vila2.data.parsing import parsing
from vila2.data.rejects import Reject
from vila2.evaluate.suite.answer_files import SHORT, Questions
from vila2.evaluate.suite.published_files import (
    ImageFolder,
    find_file,
    image_of_row,
    json_lines,
    parquet_of,
    rows_of,
)
from vila2.evaluate.suite.published_question import PublishedQuestion

_WRONG = "fetch the authors' file again"
_POPE_SETTINGS = ("random", "popular", "adversarial")
_MME_ASKS = " Please answer yes or no."


def read_pope(folder: Path, shared: Path) -> Questions:
    """POPE: the authors' three files of lines with COCO's val2014, or lmms-lab's Parquet."""
    files = {name: find_file(folder, f"coco_pope_{name}.json*") for name in _POPE_SETTINGS}
    if any(files.values()):
        images = ImageFolder(folder, shared)
        for setting, file in files.items():
            for row in json_lines(file) if file else ():
                with parsing(file, hint=_WRONG):
                    item = f"{setting}-{row['question_id']}"
                    image = images.read(row["image"], item)
                    yield _question(item, row["image"], row["text"] + SHORT, image, row["label"], setting)
        return
    for where, row in rows_of(parquet_of(folder, "test-*", "*")):
        with parsing(where, hint=_WRONG):
            item = f"{row['category']}-{row['question_id']}"
            image = image_of_row(row["image"], where, item)
            name = str(row.get("image_source", row["question_id"]))
            yield _question(item, name, row["question"] + SHORT, image, row["answer"], row["category"])


def read_mme(folder: Path, shared: Path) -> Questions:
    """MME: the authors' folders of images and texts, or lmms-lab's Parquet."""
    tables = parquet_of(folder, "test-*", "*")
    for where, row in rows_of(tables):
        with parsing(where, hint=_WRONG):
            item, group = str(row["question_id"]), row["category"]
            image = image_of_row(row["image"], where, item)
            text = row["question"].replace(_MME_ASKS, "").strip() + SHORT
            yield _question(f"{item}#{text}", item, text, image, row["answer"], group)
    if tables:
        return
    for file in sorted(folder.rglob("*.txt")):
        inner = file.parent.name == "questions_answers_YN"
        category = file.parent.parent if inner else file.parent
        pictures = ImageFolder(category)
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines()):
            question, tab, answer = line.partition("\t")
            if not tab:
                continue
            item = f"{category.name}/{file.stem}#{number}"
            names = [f"{file.stem}{end}" for end in (".jpg", ".png", ".jpeg")]
            found = [pictures.read(name, item) for name in names]
            image = next((one for one in found if isinstance(one, bytes)), found[0])
            text = question.replace(_MME_ASKS, "").strip() + SHORT
            yield _question(item, f"{category.name}/{file.stem}", text, image, answer, category.name)


def _question(
    item: str, name: str, prompt: str, image: bytes | Reject, answer: str, group: str
) -> PublishedQuestion | Reject:
    if isinstance(image, Reject):
        return image
    return PublishedQuestion(item, name, prompt, (image,), (answer.strip().lower(),), group=group)
