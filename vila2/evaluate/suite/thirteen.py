"""The thirteen benchmarks of the papers' tables: their files, how they are asked and how they are scored."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from vila2.evaluate.suite import answer_files, choice_files, judged_files, scoring, yes_no_files
from vila2.evaluate.suite.answer_files import Questions
from vila2.evaluate.suite.published_question import AnsweredQuestion

#: Folder of COCO's val2014 images, which two benchmarks share.
COCO = "coco"


@dataclass(frozen=True, slots=True)
class PublishedBenchmark:
    """A benchmark.

    Attributes:
        name: name of its folder.
        title: name as its authors write it.
        files: patterns of which one file is there where the benchmark is; its reader takes them.
        read: function that reads the questions, given its folder and that of COCO's images.
        score: function that scores answers; None where a judge does.
        write: function that writes answers for the judge, where there is one.
        fetch: what to fetch, and where to put it, each in a line; FOLDER stands for the folder.
        note: in what its figure differs from the paper's; empty where it does not.
        max_new_tokens: number of tokens of one answer at most.
    """

    name: str
    title: str
    files: tuple[str, ...]
    read: Callable[[Path, Path], Questions]
    score: Callable[[Sequence[AnsweredQuestion]], scoring.Scored] | None
    fetch: tuple[str, ...]
    note: str = ""
    max_new_tokens: int = 16
    write: Callable[[Sequence[AnsweredQuestion], str, Path], Path] | None = None

    def is_in(self, folder: Path) -> bool:
        """Tells whether its files are in a folder."""
        return folder.is_dir() and any(next(folder.rglob(pattern), None) for pattern in self.files)


_COCO_IMAGES = "images.cocodataset.org/zips/val2014.zip as FOLDER/coco/val2014/"
_SERVER = "the paper's figure is of the test half, whose answers only a server has"
_JUDGE = "a judge scores the answers, which are written for it"

#: In the order of the papers' tables.
THIRTEEN: tuple[PublishedBenchmark, ...] = (
    PublishedBenchmark(
        "vqav2",
        "VQAv2",
        ("v2_OpenEnded_mscoco_val2014_questions.json", "validation-*.parquet"),
        answer_files.read_vqav2,
        scoring.score_vqav2,
        (
            "visualqa.org/download.html: v2_OpenEnded_mscoco_val2014_questions.json and "
            "v2_mscoco_val2014_annotations.json into FOLDER/vqav2/",
            _COCO_IMAGES,
            "or hf.co/datasets/lmms-lab/VQAv2: data/validation-*.parquet into FOLDER/vqav2/",
        ),
        _SERVER,
    ),
    PublishedBenchmark(
        "gqa",
        "GQA",
        ("testdev_balanced_questions.json", "testdev_balanced_instructions/*.parquet"),
        answer_files.read_gqa,
        scoring.score_exact,
        (
            "cs.stanford.edu/people/dorarad/gqa/download.html: testdev_balanced_questions.json into "
            "FOLDER/gqa/ and the images into FOLDER/gqa/images/",
            "or hf.co/datasets/lmms-lab/GQA: the folders testdev_balanced_instructions and "
            "testdev_balanced_images into FOLDER/gqa/",
        ),
    ),
    PublishedBenchmark(
        "vizwiz",
        "VizWiz",
        ("val.json", "val-*.parquet"),
        answer_files.read_vizwiz,
        scoring.score_people,
        (
            "vizwiz.org/tasks-and-datasets/vqa: val.json into FOLDER/vizwiz/ and val.zip as "
            "FOLDER/vizwiz/val/",
            "or hf.co/datasets/lmms-lab/VizWiz-VQA: data/val-*.parquet into FOLDER/vizwiz/",
        ),
        _SERVER,
    ),
    PublishedBenchmark(
        "scienceqa",
        "ScienceQA",
        ("problems.json", "test-*.parquet"),
        choice_files.read_scienceqa,
        scoring.score_scienceqa,
        (
            "github.com/lupantech/ScienceQA: data/scienceqa/problems.json and pid_splits.json into "
            "FOLDER/scienceqa/, test.zip as FOLDER/scienceqa/test/",
            "or hf.co/datasets/lmms-lab/ScienceQA: ScienceQA-IMG/test-*.parquet into FOLDER/scienceqa/",
        ),
        "questions with an image, as in VILA's tables",
    ),
    PublishedBenchmark(
        "textvqa",
        "TextVQA",
        ("TextVQA_0.5.1_val.json", "validation-*.parquet"),
        answer_files.read_textvqa,
        scoring.score_people,
        (
            "textvqa.org/dataset: TextVQA_0.5.1_val.json into FOLDER/textvqa/ and train_val_images.zip as "
            "FOLDER/textvqa/train_images/",
            "or hf.co/datasets/lmms-lab/textvqa: data/validation-*.parquet into FOLDER/textvqa/",
        ),
        "asked without the OCR tokens that come with it",
    ),
    PublishedBenchmark(
        "pope",
        "POPE",
        ("coco_pope_*.json*", "test-*.parquet"),
        yes_no_files.read_pope,
        scoring.score_pope,
        (
            "github.com/AoiDragon/POPE: output/coco/coco_pope_{random,popular,adversarial}.json into "
            "FOLDER/pope/",
            _COCO_IMAGES,
            "or hf.co/datasets/lmms-lab/POPE: data/test-*.parquet into FOLDER/pope/",
        ),
        "an answer that says neither yes nor no is wrong, where other evaluations take it for no",
    ),
    PublishedBenchmark(
        "mme",
        "MME",
        ("*.txt", "test-*.parquet"),
        yes_no_files.read_mme,
        scoring.score_mme,
        (
            "github.com/BradyFU/Awesome-Multimodal-Large-Language-Models (on request): "
            "MME_Benchmark_release_version into FOLDER/mme/",
            "or hf.co/datasets/lmms-lab/MME: data/test-*.parquet into FOLDER/mme/",
        ),
    ),
    PublishedBenchmark(
        "mmbench",
        "MMBench",
        ("MMBench_DEV_EN*.tsv", "mmbench_dev_*.tsv", "dev-*.parquet"),
        choice_files.read_mmbench,
        scoring.score_mmbench,
        (
            "opencompass.openxlab.space/utils/VLMEval/MMBench_DEV_EN.tsv into FOLDER/mmbench/",
            "or hf.co/datasets/lmms-lab/MMBench: en/dev-*.parquet into FOLDER/mmbench/",
        ),
        "an answer that names no option is wrong, where the authors ask a language model which one it means",
    ),
    PublishedBenchmark(
        "mmbench-cn",
        "MMBench-CN",
        ("MMBench_DEV_CN*.tsv", "mmbench_dev_cn*.tsv", "dev-*.parquet"),
        choice_files.read_mmbench_cn,
        scoring.score_mmbench,
        (
            "opencompass.openxlab.space/utils/VLMEval/MMBench_DEV_CN.tsv into FOLDER/mmbench-cn/",
            "or hf.co/datasets/lmms-lab/MMBench: cn/dev-*.parquet into FOLDER/mmbench-cn/",
        ),
        "an answer that names no option is wrong, where the authors ask a language model which one it means",
    ),
    PublishedBenchmark(
        "seed",
        "SEED",
        ("SEED-Bench.json", "test-*.parquet"),
        choice_files.read_seed,
        scoring.score_seed,
        (
            "hf.co/datasets/AILab-CVC/SEED-Bench: SEED-Bench.json into FOLDER/seed/ and SEED-Bench-image.zip "
            "as FOLDER/seed/SEED-Bench-image/",
            "or hf.co/datasets/lmms-lab/SEED-Bench: data/test-*.parquet into FOLDER/seed/",
        ),
        "image questions",
    ),
    PublishedBenchmark(
        "llava-bench",
        "LLaVA-Bench",
        ("questions.jsonl",),
        judged_files.read_llava_bench,
        None,
        (
            "hf.co/datasets/liuhaotian/llava-bench-in-the-wild: questions.jsonl and images/ into "
            "FOLDER/llava-bench/",
        ),
        _JUDGE,
        1024,
        judged_files.write_llava_bench,
    ),
    PublishedBenchmark(
        "mm-vet",
        "MM-Vet",
        ("mm-vet.json",),
        judged_files.read_mm_vet,
        None,
        ("github.com/yuweihao/MM-Vet (mm-vet.zip): mm-vet.json and images/ into FOLDER/mm-vet/",),
        _JUDGE,
        1024,
        judged_files.write_mm_vet,
    ),
    PublishedBenchmark(
        "mmmu",
        "MMMU",
        ("validation-*.parquet",),
        choice_files.read_mmmu,
        scoring.score_mmmu,
        (
            "hf.co/datasets/MMMU/MMMU: validation-*.parquet of every subject, or "
            "hf.co/datasets/lmms-lab/MMMU: data/validation-*.parquet, into FOLDER/mmmu/",
        ),
        "the validation set; an answer that names no option is wrong, where the authors choose one by chance",
        128,
    ),
)
