"""Tiny files of the thirteen benchmarks, in the forms in which their authors and lmms-lab publish them."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.caption.tiny_llava import picture

#: What a model says to a question that holds these words; all else is "yes".
SAYS = {
    "What color is the bus?": "Red.",
    "How many dogs": "two",
    "Is it raining": "No",
    "does the sign say": "Stop!",
    "Which animal": "B",
    "Which force": "A. push",
    "Where is the cat": "C",
    "猫在哪里": "B",
    "Is there a dog": "No, there is no dog.",
    "Is the sum 7": "no",
    "What is in <image 1>": "(A)",
    "What is the sum": "So the sum is 12.5",
}


def said(prompt: str) -> str:
    return next((text for words, text in SAYS.items() if words in prompt), "yes")


def put(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif isinstance(content, str):
        path.write_text(content, encoding="utf-8")
    else:
        path.write_text(json.dumps(content), encoding="utf-8")


def lines(*rows: dict) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def people(*answers: str) -> list[dict]:
    return [
        {"answer": text, "answer_confidence": "yes", "answer_id": n}
        for n, text in enumerate(answers, start=1)
    ]


TEN_RED = ["red"] * 2 + ["dark red"] * 8
TEN_TWO = ["2"] * 9 + ["3"]


def put_vqa(data: Path) -> None:
    questions = [
        {"image_id": 42, "question": "What color is the bus?", "question_id": 42000},
        {"image_id": 42, "question": "How many dogs are there?", "question_id": 42001},
        {"image_id": 73, "question": "How many dogs are there?", "question_id": 73000},
    ]
    notes = [
        {"question_id": 42000, "image_id": 42, "answers": people(*TEN_RED), "multiple_choice_answer": "red"},
        {"question_id": 42001, "image_id": 42, "answers": people(*TEN_TWO), "multiple_choice_answer": "2"},
        {"question_id": 73000, "image_id": 73, "answers": people(*TEN_TWO), "multiple_choice_answer": "2"},
    ]
    put(data / "vqav2/v2_OpenEnded_mscoco_val2014_questions.json", {"questions": questions})
    put(data / "vqav2/v2_mscoco_val2014_annotations.json", {"annotations": notes})
    put(data / "coco/val2014/COCO_val2014_000000000042.jpg", picture(42))
    put(
        data / "gqa/testdev_balanced_questions.json",
        {
            "201": {"question": "Is it raining?", "answer": "no", "imageId": "n1", "isBalanced": True},
            "202": {"question": "Is it sunny?", "answer": "no", "imageId": "n1", "isBalanced": True},
        },
    )
    put(data / "gqa/images/n1.jpg", picture(1))
    row = {"image": "VizWiz_val_00000000.jpg", "question": "what does the sign say", "answerable": 1}
    put(data / "vizwiz/val.json", [row | {"answers": people(*["stop"] * 10), "answer_type": "other"}])
    put(data / "vizwiz/val/VizWiz_val_00000000.jpg", picture(2))
    row = {"image_id": "0a1b", "question": "what does the sign say?", "question_id": 34602}
    put(data / "textvqa/TextVQA_0.5.1_val.json", {"data": [row | {"answers": ["STOP"] * 3 + ["go"] * 7}]})
    put(data / "textvqa/train_images/0a1b.jpg", picture(3))


def put_choices(data: Path) -> None:
    problem = {"question": "Which animal swims?", "choices": ["cat", "fish"], "answer": 1, "hint": "Look."}
    other = {"question": "Which force?", "choices": ["push", "pull"], "answer": 1, "hint": ""}
    put(
        data / "scienceqa/problems.json",
        {
            "7": problem | {"image": "image.png", "split": "test"},
            "8": other | {"image": "image.png", "split": "test"},
            "9": other | {"image": None, "split": "test"},
            "10": other | {"image": "image.png", "split": "train"},
        },
    )
    put(data / "scienceqa/pid_splits.json", {"train": ["10"], "val": [], "test": ["7", "8", "9"]})
    put(data / "scienceqa/test/7/image.png", picture(7))
    put(data / "scienceqa/test/8/image.png", picture(8))
    for name, file, question in (
        ("mmbench", "MMBench_DEV_EN.tsv", "Where is the cat?"),
        ("mmbench-cn", "mmbench_dev_cn_20231003.tsv", "猫在哪里？"),
    ):
        put(data / name / file, mmbench(question))
    seed = {"choice_a": "a", "choice_b": "b", "choice_c": "c", "choice_d": "d", "question_type_id": 1}
    put(
        data / "seed/SEED-Bench.json",
        {
            "questions": [
                seed | {"answer": "B", "data_id": "1_2", "data_type": "image", "question": "Which animal?"}
                | {"question_id": "101"},
                seed | {"answer": "B", "data_id": "v", "data_type": "video", "question": "Which animal?"}
                | {"question_id": "102"},
            ],
            "question_type": {"Scene Understanding": 1},
        },
    )  # fmt: skip
    put(data / "seed/SEED-Bench-image/1_2", picture(5))
    put_table(data / "mmmu/Math/validation-00000-of-00001.parquet", mmmu())


def mmbench(question: str) -> str:
    """A question with its choices in two orders, the second naming the row that has the image."""
    names = ("index", "question", "hint", "A", "B", "C", "D", "answer", "category", "image", "source")
    names = (*names, "l2-category", "comment", "split")
    image = base64.b64encode(picture(6)).decode()
    rows = [
        (241, question, "", "left", "right", "top", "low", "C", "places", image, "x", "p", "", "dev"),
        (1000241, question, "", "right", "top", "low", "left", "B", "places", "241", "x", "p", "", "dev"),
        (242, question, "", "left", "right", "top", "", "C", "places", image, "x", "p", "", "dev"),
    ]
    return "\n".join("\t".join(map(str, row)) for row in (names, *rows)) + "\n"


def image_of(number: int) -> dict:
    return {"bytes": picture(number), "path": f"{number}.png"}


def mmmu() -> list[dict]:
    images = {f"image_{n}": image_of(n) if n < 2 else None for n in range(1, 8)}
    rest = {"explanation": "", "img_type": "['Plots']", "topic_difficulty": "Easy", "subfield": "x"}
    return [
        {"id": "validation_Math_1", "question": "What is in <image 1>?", "options": "['a graph', 'a tree']"}
        | {"answer": "A", "question_type": "multiple-choice"} | images | rest,
        {"id": "validation_Math_2", "question": "What is the sum in <image 1>?", "options": "[]"}
        | {"answer": "12.50", "question_type": "open"} | images | rest,
    ]  # fmt: skip


def put_yes_no(data: Path) -> None:
    ask = "Is there a dog in the image?"
    for setting in ("random", "popular", "adversarial"):
        rows = [
            {"question_id": 1, "image": "COCO_val2014_000000000042.jpg", "text": ask, "label": "no"},
            {
                "question_id": 2,
                "image": "COCO_val2014_000000000042.jpg",
                "text": "Is there a bus?",
                "label": "yes",
            },
        ]
        put(data / f"pope/coco_pope_{setting}.json", lines(*rows))
    base = data / "mme/MME_Benchmark_release_version"
    text = "Is there a bus? Please answer yes or no.\tYes\nIs there a dog? Please answer yes or no.\tNo\n"
    put(base / "existence/000000006040.txt", text)
    put(base / "existence/000000006040.jpg", picture(9))
    sums = "Is the sum 5? Please answer yes or no.\tNo\nIs the sum 7? Please answer yes or no.\tNo\n"
    put(base / "numerical_calculation/questions_answers_YN/0001.txt", sums)
    put(base / "numerical_calculation/images/0001.png", picture(10))


def put_judged(data: Path) -> None:
    row = {"question_id": 0, "image": "001.jpg", "text": "What is this place?", "category": "conv"}
    put(data / "llava-bench/questions.jsonl", lines(row))
    put(data / "llava-bench/images/001.jpg", picture(11))
    row = {"imagename": "v1_0.png", "question": "What is x?", "answer": "-1", "capability": ["math"]}
    put(data / "mm-vet/mm-vet.json", {"v1_0": row})
    put(data / "mm-vet/images/v1_0.png", picture(12))


def put_table(path: Path, rows: list[dict]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path)


def put_mirrors(data: Path) -> None:
    """The same questions as the tables of lmms-lab."""
    ten = people(*TEN_RED), people(*TEN_TWO)
    vqa = {
        "question_type": "what",
        "multiple_choice_answer": "red",
        "answer_type": "other",
        "image": image_of(42),
    }
    put_table(
        data / "vqav2/validation-00000-of-00068.parquet",
        [
            vqa
            | {"image_id": 42, "question_id": 42000, "question": "What color is the bus?", "answers": ten[0]},
            vqa | {"image_id": 42, "question_id": 42001, "question": "How many dogs?", "answers": ten[1]},
        ],
    )
    put_table(
        data / "gqa/testdev_balanced_images/testdev-00000-of-00001.parquet",
        [{"id": "n1", "image": image_of(1)}],
    )
    put_table(
        data / "gqa/testdev_balanced_instructions/testdev-00000-of-00001.parquet",
        [
            {"id": "201", "imageId": "n1", "question": "Is it raining?", "answer": "no", "fullAnswer": "No."},
            {"id": "202", "imageId": "n1", "question": "Is it sunny?", "answer": "no", "fullAnswer": "No."},
        ],
    )
    row = {"question_id": "VizWiz_val_00000000", "image": image_of(2), "question": "what does the sign say"}
    put_table(
        data / "vizwiz/val-00000-of-00005.parquet", [row | {"answers": ["stop"] * 10, "category": "other"}]
    )
    row = {
        "image_id": "0a1b",
        "question_id": 34602,
        "question": "what does the sign say?",
        "image": image_of(3),
    }
    put_table(
        data / "textvqa/validation-00000-of-00003.parquet",
        [row | {"answers": ["STOP"] * 3 + ["go"] * 7, "ocr_tokens": ["stop"]}],
    )
    put_table(
        data / "scienceqa/ScienceQA-IMG/test-00000-of-00001.parquet",
        [
            {"image": image_of(7), "question": "Which animal swims?", "choices": ["cat", "fish"], "answer": 1}
            | {"hint": "Look."},
            {"image": image_of(8), "question": "Which force?", "choices": ["push", "pull"], "answer": 1}
            | {"hint": ""},
        ],
    )  # fmt: skip
    pope = {"image": image_of(42), "image_source": "COCO_val2014_000000000042"}
    put_table(
        data / "pope/test-00000-of-00003.parquet",
        [
            pope
            | {"id": str(n), "question_id": str(n), "question": ask, "answer": answer, "category": setting}
            for setting in ("random", "popular", "adversarial")
            for n, (ask, answer) in enumerate(
                (("Is there a dog in the image?", "no"), ("Is there a bus?", "yes"))
            )
        ],
    )
    ask = "Please answer yes or no."
    put_table(
        data / "mme/test-00000-of-00004.parquet",
        [
            {"question_id": f"{category}/1.png", "image": image_of(9), "question": f"{question} {ask}"}
            | {"answer": answer, "category": category}
            for category, question, answer in (
                ("existence", "Is there a bus?", "Yes"),
                ("existence", "Is there a dog?", "No"),
                ("numerical_calculation", "Is the sum 5?", "No"),
                ("numerical_calculation", "Is the sum 7?", "No"),
            )
        ],
    )  # fmt: skip
    for name, config, question in (
        ("mmbench", "en", "Where is the cat?"),
        ("mmbench-cn", "cn", "猫在哪里？"),
    ):
        choices = (
            {"A": "left", "B": "right", "C": "top", "D": "low"},
            {"A": "right", "B": "top", "C": "low", "D": "left"},
        )
        rest = {
            "question": question,
            "hint": "nan",
            "category": "places",
            "image": image_of(6),
            "source": "x",
        }
        put_table(
            data / f"{name}/{config}/dev-00000-of-00001.parquet",
            [
                {"index": 241, "answer": "C", **choices[0], **rest},
                {"index": 1000241, "answer": "B", **choices[1], **rest},
                {"index": 242, "answer": "C", **choices[0], "D": "nan", **rest},
            ],
        )
    seed = {"choice_a": "a", "choice_b": "b", "choice_c": "c", "choice_d": "d", "question_type_id": 1}
    put_table(
        data / "seed/test-00000-of-00001.parquet",
        [
            seed | {"answer": "B", "data_id": "1_2", "data_type": "image", "question": "Which animal?"}
            | {"question_id": "101", "image": [image_of(5)]},
            seed | {"answer": "B", "data_id": "v", "data_type": "video", "question": "Which animal?"}
            | {"question_id": "102", "image": [image_of(5)] * 8},
        ],
    )  # fmt: skip
    put_table(data / "mmmu/validation-00000-of-00001.parquet", mmmu())
