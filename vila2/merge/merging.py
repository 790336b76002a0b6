"""Merges the layers of a dataset into one: shard by shard, resumable, with the same bytes every time."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from vila2.claims.names import Vocabulary
from vila2.data.annotations import Annotation
from vila2.data.job_files import check_known, check_same_job, keep_job, only_writer
from vila2.data.journal import Journal
from vila2.data.layers import Layer, LayerWriter, ReadLayer
from vila2.data.shards import ShardDataset, file_sha256
from vila2.engine.protocol import Engine, GenerationSettings
from vila2.errors import RunError
from vila2.merge.dataset_evidence import known_evidence
from vila2.merge.deciding import decided
from vila2.merge.dialogue import Talk, rows_of
from vila2.merge.fates import Fate, fates_of, write_fates
from vila2.merge.hearing import HeardExchange, hear
from vila2.merge.known import Known
from vila2.merge.rewriting import describe_writer, rewritten, write_paragraphs
from vila2.merge.sources import WRITER, Source, open_sources, ranked
from vila2.merge.verifier_counts import keep_counts, one_sided
from vila2.merge.weighing import judge_by, weigh
from vila2.model.loading import find_folder, loading
from vila2.plugin.verifying import VerifierContext
from vila2.progress import Progress
from vila2.recipe.parts.specialists import MergeSpec
from vila2.run.board import Board

log = logging.getLogger("vila2.merge")

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
    """Writes a layer with one row for each image's caption and one row for each exchange about it.

    It holds all that the views ``dialogue(merged)`` and ``tree(merged)`` need. Beside its shards are the
    fates of everything that went in (:mod:`vila2.merge.fates`). Killed and called again, it resumes with the
    next shard, or after the last batch where a model writes. The files are then those of a job that was never
    disturbed.

    Args:
        dataset: dataset of the images.
        layers: layers by name in order, "original" among them; of specialists with equal priority the first
            is believed.
        folder: folder of the layer: ``DATASET/layers/NAME``, or the folder of a run's step.
        name: name of the layer.
        spec: settings of the merge.
        seed: seed of the order, the questions, and the choice of empty answers that are kept.
        engine: engine that writes paragraphs, with ``writer: model``.
        progress: display of the images.

    Raises:
        DataError: the folder holds a layer merged with other settings; no original; a base that is no layer.
        PluginError: a specialist's plugin is not installed, or its verifier fails.
        RunError: another process writes this layer, or a model is to write and there is no engine.
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
    work = _MergeWork(dataset, layers, sources, spec, seed, engine, LayerWriter(folder, name))
    folder.mkdir(parents=True, exist_ok=True)
    with only_writer(folder):
        if (folder / "layer.json").exists():
            finished = Layer.open(folder)
            check_same_job(finished.info, work.job, where=folder, hint=_HINT)
            (folder / "job.json").unlink(missing_ok=True)  # left where a kill came before its removal
            return finished
        check_known(folder, hint=_HINT)
        keep_job(folder / "job.json", work.job, where=folder, hint=_HINT)
        with (progress or Board()).task(f"merge {name}", len(dataset)) as task:
            for shard_no in range(len(dataset.shards)):
                work.merge_shard(shard_no)
                task.advance(len(dataset.shard_range(shard_no)))
        files = sorted((folder / "fates").glob("[0-9]*.parquet"))
        for told in one_sided(folder):
            log.warning("%s", told)
        finished = work.writer.finish(work.job | {"fates": {path.name: file_sha256(path) for path in files}})
        (folder / "job.json").unlink(missing_ok=True)
        return finished


@dataclass(frozen=True)
class _MergeWork:
    """The work that is the same for every shard."""

    dataset: ShardDataset
    layers: Mapping[str, ReadLayer]
    sources: Sequence[Source]
    spec: MergeSpec
    seed: int
    engine: Engine | None
    writer: LayerWriter

    @cached_property
    def job(self) -> dict[str, Any]:
        """What determines the layer; JSON-able."""
        plugins = {one.name: dict(one.plugin) for one in self.sources if one.plugin}
        left_out = {"model"} if self.spec.evidence else {"model", "evidence"}  # as in layers of old
        return {
            "merge": self.spec.model_dump(mode="json", exclude=left_out),  # the model's digest is in "writer"
            "seed": self.seed,
            "order": [one.name for one in self.sources],
            "layers": {name: layer.digest for name, layer in self.layers.items()},
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
        """Merges a shard's images, unless this was done before."""
        journal = Journal(self.writer.folder / f"{shard_no:06d}.partial.jsonl")
        if self.writer.has(shard_no):
            journal.remove()  # left where a kill came between the two
            return
        said = {name: layer.shard(shard_no) for name, layer in self.layers.items()}
        merged = {
            key: self._merge(number, key, {name: rows.get(key, ()) for name, rows in said.items()})
            for number, key in zip(
                self.dataset.shard_range(shard_no), self.dataset.shard_keys(shard_no), strict=True
            )
        }
        conversations = {key: arranged for key, (arranged, _) in merged.items()}
        if self.engine is not None:
            paragraphs = self._paragraphs(self.engine, conversations, journal)
            conversations = {
                key: self._rewrite(arranged, merged[key][1], paragraphs[key])
                if key in paragraphs
                else arranged
                for key, arranged in conversations.items()
            }
        fates: list[Fate] = [f for key, arranged in conversations.items() for f in fates_of(key, arranged)]
        write_fates(self.writer.folder / "fates" / f"{shard_no:06d}.parquet", fates)
        keep_counts(
            self.writer.folder, shard_no, [one for source in self.sources for one in source.verifiers]
        )
        rows = [row for key, arranged in conversations.items() for row in rows_of(key, arranged)]
        self.writer.write_shard(shard_no, rows)  # last: it marks the shard as done
        journal.remove()

    def _merge(
        self, number: int, key: str, rows: Mapping[str, Sequence[Annotation]]
    ) -> tuple[list[HeardExchange], Known]:
        heard = hear(self.sources, rows, self._vocabulary)
        evidence = known_evidence(self.dataset, number) if self.spec.evidence else None
        context = VerifierContext(key, evidence, partial(self.dataset.__getitem__, number))
        weighed, known = weigh(heard, self.sources, rows, absence=self.spec.absence, context=context)
        return self._talk.arrange(key, [decided(one, self.spec) for one in weighed]), known

    def _paragraphs(
        self, engine: Engine, conversations: Mapping[str, Sequence[HeardExchange]], journal: Journal
    ) -> dict[str, Annotation]:
        """The model's paragraph for every conversation that says something; those in the journal are kept."""
        found = {row["key"]: Annotation.from_json(row) for batch in journal.entries for row in batch}
        talking = [(key, one) for key, one in conversations.items() if any(exchange.kept for exchange in one)]
        for batch in _batches(talking, self.spec.batch_size):
            missing = [(key, one) for key, one in batch if key not in found]
            if missing:
                new = write_paragraphs(engine, missing, self._settings)
                journal.append([row.to_json() for row in new])
                found |= {row.key: row for row in new}
        return found

    def _rewrite(
        self, arranged: Sequence[HeardExchange], known: Known, paragraph: Annotation
    ) -> list[HeardExchange]:
        """The conversation as the paragraph, or as it was where the paragraph is unusable."""
        writer = Source(WRITER, "base")  # its paragraph is a caption, judged as the base is
        (written,) = hear([writer], {WRITER: [paragraph]}, self._vocabulary)
        if paragraph.status != "ok":
            # The exchange of the paragraph says why the conversation stays as it was.
            return [*arranged, *self._talk.arrange(paragraph.key, [written])]
        verifiers = [verifier for source in ranked(self.sources) for verifier in source.verifiers]
        weighed = judge_by(written, known, verifiers)
        return [*self._talk.arrange(paragraph.key, [decided(weighed, self.spec)]), *rewritten(arranged)]


def _batches(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def counter_of(tokenizer: str | None) -> Callable[[str], int]:
    """A function that counts words, or a tokenizer's tokens.

    Raises:
        ModelError: there is no such tokenizer.
    """
    if tokenizer is None:
        return lambda text: len(text.split())
    from transformers import AutoTokenizer

    with loading("tokenizer", tokenizer):
        encode = AutoTokenizer.from_pretrained(find_folder(tokenizer), trust_remote_code=False)
    return lambda text: len(encode(text, add_special_tokens=False)["input_ids"])
