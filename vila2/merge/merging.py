"""Merging the layers of a dataset into one: shard after shard, resumable, the same bytes every time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from vila2.claims.names import Vocabulary
from vila2.data.annotations import Annotation
from vila2.data.job_files import check_same_job, keep_job, only_writer
from vila2.data.journal import Journal
from vila2.data.layers import Layer, LayerWriter, ReadLayer
from vila2.data.shards import ShardDataset, file_sha256
from vila2.engine.protocol import Engine, GenerationSettings
from vila2.errors import RunError
from vila2.merge.deciding import decided
from vila2.merge.dialogue import Talk, rows_of
from vila2.merge.fates import Fate, fates_of, write_fates
from vila2.merge.hearing import HeardExchange, hear
from vila2.merge.known import Known
from vila2.merge.rewriting import describe_writer, rewritten, write_paragraphs
from vila2.merge.sources import WRITER, Source, open_sources, ranked
from vila2.merge.weighing import judge_by, weigh
from vila2.model.loading import find_folder, loading
from vila2.progress import Progress
from vila2.recipe.parts.specialists import MergeSpec
from vila2.run.board import Board

_HINT = "use the same settings and layers, another name, or delete this layer's folder"


def merge_layers(
    dataset: ShardDataset,
    layers: Mapping[str, ReadLayer],
    *,
    folder: Path,
    name: str = "merged",
    spec: MergeSpec | None = None,
    seed: int = 0,
    engine: Engine | None = None,
    progress: Progress | None = None,
) -> Layer:
    """Writes a layer whose rows are, for each image, the caption and then one exchange each.

    It holds all that the views ``dialogue(merged)`` and ``tree(merged)`` need. Beside its shards lie the fates of
    whatever went in (:mod:`vila2.merge.fates`). Killed and called again it goes on with the next shard, with a
    model as the writer after the last batch, and the files are those of a job that was never disturbed.

    Args:
        dataset: its images are talked about.
        layers: by name in order, "original" among them; of specialists with equal priority the first is believed.
        folder: of the layer: ``DATASET/layers/NAME``, or the folder of a run's step.
        name: of the layer.
        spec: how to merge.
        seed: of order, questions, and which empty answers are kept.
        engine: that writes paragraphs, with ``writer: model``.
        progress: shows how far it is.

    Raises:
        DataError: the folder holds a layer merged otherwise; no original; a base that is no layer.
        PluginError: a specialist's plugin is not installed, or its verifier fails.
        RunError: another process writes this layer, or a writer is wanted and there is no engine.
    """
    spec = spec or MergeSpec()
    if (spec.writer == "model") != (engine is not None):
        what = (
            "no engine is given"
            if engine is None
            else f"the writer is {spec.writer!r}, yet an engine is given"
        )
        raise RunError(what, hint="give an engine (--model) with `writer: model`, and none otherwise")
    sources = open_sources(layers, spec.base)
    work = _MergeWork(dataset, sources, spec, seed, engine, LayerWriter(folder, name))
    folder.mkdir(parents=True, exist_ok=True)
    with only_writer(folder):
        if (folder / "layer.json").exists():
            finished = Layer.open(folder)
            check_same_job(finished.info, work.job, where=folder, hint=_HINT)
            return finished
        keep_job(folder / "job.json", work.job, where=folder, hint=_HINT)
        with (progress or Board()).task(f"merge {name}", len(dataset)) as task:
            for shard_no in range(len(dataset.shards)):
                work.merge_shard(shard_no)
                task.advance(len(dataset.shard_range(shard_no)))
        files = sorted((folder / "fates").glob("[0-9]*.parquet"))
        finished = work.writer.finish(work.job | {"fates": {path.name: file_sha256(path) for path in files}})
        (folder / "job.json").unlink(missing_ok=True)
        return finished


@dataclass(frozen=True)
class _MergeWork:
    """What stays the same from shard to shard."""

    dataset: ShardDataset
    sources: Sequence[Source]
    spec: MergeSpec
    seed: int
    engine: Engine | None
    writer: LayerWriter

    @cached_property
    def job(self) -> dict[str, Any]:
        """What the layer is a function of; JSON-able."""
        plugins = {one.name: dict(one.plugin) for one in self.sources if one.plugin}
        return {
            "merge": self.spec.model_dump(mode="json", exclude={"model"}),  # its digest is the writer's
            "seed": self.seed,
            "order": [one.name for one in self.sources],
            "layers": {one.name: one.layer.digest for one in self.sources},
            "dataset": self.dataset.digest,
            "plugins": plugins,
            "writer": describe_writer(self.engine, self._settings) if self.engine else {},
        }

    @cached_property
    def _settings(self) -> GenerationSettings:
        return GenerationSettings(max_new_tokens=self.spec.max_new_tokens, seed=self.seed)

    @cached_property
    def _talk(self) -> Talk:
        return Talk(self.spec, self.seed, counter_of(self.spec.tokenizer))

    @cached_property
    def _vocabulary(self) -> Vocabulary:
        return Vocabulary.of(name for one in self.sources for name in one.names)

    def merge_shard(self, shard_no: int) -> None:
        """Merges a shard's images, or finds that this was done."""
        journal = Journal(self.writer.folder / f"{shard_no:06d}.partial.jsonl")
        if self.writer.has(shard_no):
            journal.remove()  # left where a kill came between the two
            return
        said = {one.name: one.layer.shard(shard_no) for one in self.sources}
        merged = {
            key: self._merge(key, {name: rows.get(key, ()) for name, rows in said.items()})
            for key in self.dataset.shard_keys(shard_no)
        }
        conversations = {key: arranged for key, (arranged, _) in merged.items()}
        if self.engine is not None:
            paragraphs = self._paragraphs(conversations, journal)
            conversations = {
                key: self._rewrite(arranged, merged[key][1], paragraphs[key])
                if key in paragraphs
                else arranged
                for key, arranged in conversations.items()
            }
        fates: list[Fate] = [f for key, arranged in conversations.items() for f in fates_of(key, arranged)]
        write_fates(self.writer.folder / "fates" / f"{shard_no:06d}.parquet", fates)
        rows = [row for key, arranged in conversations.items() for row in rows_of(key, arranged)]
        self.writer.write_shard(shard_no, rows)  # last: it is what says that the shard is done
        journal.remove()

    def _merge(self, key: str, rows: Mapping[str, Sequence[Annotation]]) -> tuple[list[HeardExchange], Known]:
        heard = hear(self.sources, rows, self._vocabulary)
        weighed, known = weigh(heard, self.sources, rows, absence=self.spec.absence)
        return self._talk.arrange(key, [decided(one, self.spec) for one in weighed]), known

    def _paragraphs(
        self, conversations: Mapping[str, Sequence[HeardExchange]], journal: Journal
    ) -> dict[str, Annotation]:
        """The model's paragraph for every conversation that says something; what an earlier process wrote is kept."""
        found = {row["key"]: Annotation.from_json(row) for batch in journal.entries for row in batch}
        talking = [(key, one) for key, one in conversations.items() if any(exchange.kept for exchange in one)]
        for batch in _batches(talking, self.spec.batch_size):
            missing = [(key, one) for key, one in batch if key not in found]
            if missing:
                new = write_paragraphs(self.engine, missing, self._settings)
                journal.append([row.to_json() for row in new])
                found |= {row.key: row for row in new}
        return found

    def _rewrite(
        self, arranged: Sequence[HeardExchange], known: Known, paragraph: Annotation
    ) -> list[HeardExchange]:
        """The conversation as the paragraph, or as it was where the model wrote none that can be used."""
        writer = Source(WRITER, "base")  # its paragraph is a caption, judged as the base is
        (written,) = hear([writer], {WRITER: [paragraph]}, self._vocabulary)
        if paragraph.status != "ok":
            # Never silently: the exchange says why the rules' conversation stays.
            return [*arranged, *self._talk.arrange(paragraph.key, [written])]
        verifiers = [verifier for source in ranked(self.sources) for verifier in source.verifiers]
        weighed = judge_by(written, known, verifiers)
        return [*self._talk.arrange(paragraph.key, [decided(weighed, self.spec)]), *rewritten(arranged)]


def _batches(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def counter_of(tokenizer: str | None) -> Callable[[str], int]:
    """Counts words, or a tokenizer's tokens.

    Raises:
        ModelError: there is no such tokenizer.
    """
    if tokenizer is None:
        return lambda text: len(text.split())
    from transformers import AutoTokenizer

    with loading("tokenizer", tokenizer):
        encode = AutoTokenizer.from_pretrained(find_folder(tokenizer), trust_remote_code=False)
    return lambda text: len(encode(text, add_special_tokens=False)["input_ids"])
