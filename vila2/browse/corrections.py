"""What a person corrects and marks: a journal, from which a layer is written.

DATASET/layers/human-1/journal.jsonl    one checksummed line for each change; what counts
DATASET/layers/human-1/*.parquet        the layer, made of the journal while nobody changes anything
"""

from __future__ import annotations

import logging
import shutil
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

from vila2.browse.collection import Collection
from vila2.data.annotations import Annotation
from vila2.data.atomic import write_bytes_atomic
from vila2.data.journal import Journal
from vila2.data.layer_replacement import replacing, restore
from vila2.data.layers import LayerWriter, check_layer_name
from vila2.data.locks import Hold, hold
from vila2.data.parsing import parsing, read_json
from vila2.errors import DataError, RunError, Vila2Error
from vila2.report.page import for_html

_log = logging.getLogger(__name__)

Judgment = Literal["", "good", "bad"]
_JUDGMENTS: tuple[Judgment, ...] = get_args(Judgment)
_JOURNAL = "journal.jsonl"
_MAKER = "vila2 browse"
_LONGEST_TEXT, _LONGEST_NOTE = 20_000, 2_000  # characters
_QUIET_SECONDS = 2.0  # without a change, before the layer is written


@dataclass(frozen=True, slots=True)
class Correction:
    """What a person says of one answer; the last word on it counts.

    Attributes:
        key: key of the sample.
        layer: layer of the answer.
        row: number of the answer among the layer's answers about the sample.
        prompt: question of the answer.
        before: the answer's text.
        text: text as it should be; ``before`` where it is not corrected.
        mark: "good", "bad", or "" for none.
        note: remark.
        when: time in seconds since 1970.
    """

    key: str
    layer: str
    row: int
    prompt: str
    before: str
    text: str
    mark: Judgment = ""
    note: str = ""
    when: float = 0.0

    @property
    def corrected(self) -> bool:
        """Whether the text was changed."""
        return self.text != self.before

    @property
    def says_nothing(self) -> bool:
        """Whether it takes back what was said before."""
        return not (self.corrected or self.mark or self.note)


class Corrections:
    """Takes changes and writes the layer; each change is on disk before it counts.

    Args:
        collection: what is looked at.
        name: name of the layer.

    Attributes:
        name: name of the layer.
        folder: folder of the layer, beside the dataset's shards.
        problem: reason why nothing can be changed, else "".

    Raises:
        DataError: the name is refused, or somebody else's layer has it.
    """

    def __init__(self, collection: Collection, name: str) -> None:
        check_layer_name(name)
        self.name = name
        self.folder = collection.dataset.folder / "layers" / name
        self.problem = ""
        self._collection = collection
        self._lock = threading.RLock()
        self._changed = threading.Event()
        self._hold: Hold | None = None
        self._journal: Journal | None = None
        self._state: dict[tuple[str, str, int], Correction] = {}
        restore_needed = (self.folder.parent.parent / ".layers" / f"{name}.old").exists()
        if self.folder.exists() or restore_needed:
            self._check_ours()
            try:
                self._open()
            except (RunError, OSError) as error:
                self.problem = f"nothing can be changed: {error}"

    def about(self, key: str, layer: str, row: int) -> Correction | None:
        """Gives what was said of an answer."""
        with self._lock:
            return self._state.get((key, layer, row))

    def keys(self, mark: str) -> set[str]:
        """Gives the keys of the samples with a mark: "good", "bad", "corrected", or "any"."""
        with self._lock:
            said = list(self._state.values())
        return {
            one.key
            for one in said
            if mark == "any" or one.mark == mark or (mark == "corrected" and one.corrected)
        }

    def change(self, number: int, layer: str, row: int, *, text: str, mark: str, note: str) -> Correction:
        """Takes a change.

        Args:
            number: number of the sample.
            layer: layer of the answer.
            row: number of the answer.
            text: text as it should be.
            mark: "good", "bad", or "".
            note: remark.

        Raises:
            DataError: there is no such answer, or the change makes no sense.
            RunError: another process takes changes.
        """
        if self.problem:
            raise RunError(self.problem)
        collection = self._collection
        if layer not in collection.layers or not 0 <= number < len(collection.dataset):
            raise DataError("there is no such answer")
        key = collection.key(number)
        rows = collection.rows[layer].of(number, key)
        if not 0 <= row < len(rows):
            raise DataError("there is no such answer")
        before = rows[row].text
        prompt, said = rows[row].prompt, _plain(text)
        made = Correction(key, layer, row, prompt, before, said, _judgment(mark), _plain(note), time.time())
        if made.text in (before.strip(), _plain(for_html(before))):
            made = replace(made, text=before)  # what a page makes of control characters is no correction
        _check(made, rows[row])
        with self._lock:
            self._open().append(asdict(made))
            self._take(made)
            self._changed.set()
        return made

    def keep_written(self, stop: threading.Event) -> None:
        """Writes the layer whenever nothing was changed for a while, until ``stop``; then a last time."""
        while not stop.is_set():
            if self._changed.wait(0.5):
                while not stop.wait(_QUIET_SECONDS) and self._is_recent():
                    pass
                try:
                    self.write()
                except (Vila2Error, OSError) as error:
                    self._changed.set()  # the journal has it all, and closing tells of what lasts
                    _log.warning("%s is not written yet: %s", self.folder, error)

    def write(self) -> None:
        """Writes the layer, unless it holds all changes; the old one stays usable until then."""
        with self._lock:
            self._changed.clear()
            if self._journal is None or not self._journal.entries or self._is_written():
                return
            rows = self._rows()
            dataset = self._collection.dataset
            with replacing(self.folder) as new:
                shutil.rmtree(new, ignore_errors=True)  # of a process that was killed
                writer = LayerWriter(new, self.name)
                for shard_no in range(len(dataset.shards)):
                    own = [row for key in dataset.shard_keys(shard_no) for row in rows.get(key, ())]
                    if own:
                        writer.write_shard(shard_no, own)
                new.mkdir(exist_ok=True)
                write_bytes_atomic(new / _JOURNAL, self._journal.path.read_bytes())
                writer.finish(self._info())

    def close(self) -> None:
        """Writes the layer and lets go of it."""
        try:
            self.write()
        finally:
            if self._hold is not None:
                self._hold.release()

    def written_line(self) -> str:
        """Says what is in the layer, in one line; "" where there is none."""
        if self._journal is None or not self._journal.entries:
            return ""
        info = self._info()
        counts = ", ".join(f"{info[name]} {name}" for name in ("corrected", "good", "bad"))
        return f"layer {self.name}: {counts} ({self.folder})"

    def _info(self) -> Mapping[str, Any]:
        entries = self._journal.entries if self._journal is not None else []
        marks = [one.mark for one in self._state.values()]
        return {
            "layer": self.name,
            "dataset": self._collection.dataset.digest,
            "engine": "person",
            "made_by": _MAKER,
            "changes": len(entries),
            "corrected": sum(one.corrected for one in self._state.values()),
            "good": marks.count("good"),
            "bad": marks.count("bad"),
        }

    def _rows(self) -> dict[str, list[Annotation]]:
        """The layer's rows by key; of several usable texts for one question, the last one counts."""
        chosen: dict[str, dict[object, Annotation]] = {}
        for place, one in self._state.items():
            usable = one.corrected or one.mark == "good"
            if usable or one.mark == "bad":
                by_question = chosen.setdefault(one.key, {})
                question = one.prompt if usable else place
                by_question.pop(question, None)
                by_question[question] = self._row(one)
        return {key: list(rows.values()) for key, rows in chosen.items()}

    def _row(self, one: Correction) -> Annotation:
        note = f": {one.note}" if one.note else ""
        if one.corrected:
            return Annotation(one.key, one.prompt, one.text, "ok", f"corrected, of {one.layer}{note}")
        if one.mark == "bad":
            return Annotation(
                one.key, one.prompt, one.text, "error", f"marked bad by a person, of {one.layer}{note}"
            )
        marked = Annotation(one.key, one.prompt, one.text, "ok", f"marked good, of {one.layer}{note}")
        dataset = self._collection.dataset
        with suppress(Vila2Error):  # the layer is another one by now: the text alone is kept
            rows = self._collection.rows[one.layer].of(dataset.find(one.key), one.key)
            if one.row < len(rows) and rows[one.row].text == one.before:
                return replace(marked, turns=rows[one.row].turns, claims=rows[one.row].claims)
        return marked

    def _take(self, one: Correction) -> None:
        place = one.key, one.layer, one.row
        self._state.pop(place, None)
        if not one.says_nothing:
            self._state[place] = one

    def _open(self) -> Journal:
        """Opens the journal; this process then holds it until it ends."""
        if self._journal is None:
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            self._hold = hold(self.folder.parent / f".{self.name}.lock")
            if self._hold is None:
                raise RunError(
                    f"another `vila2 browse` takes changes to {self.name}",
                    hint="stop it, or give another --corrections NAME",
                )
            self._hold.vanishes = True
            restore(self.folder)
            self.folder.mkdir(exist_ok=True)
            self._journal = Journal(self.folder / _JOURNAL, only_last=True)
            with parsing(self._journal.path, hint="delete the line that cannot be read"):
                for entry in self._journal.entries:
                    self._take(Correction(**entry))
            if not self._is_written():
                self._changed.set()
        return self._journal

    def _check_ours(self) -> None:
        file = self.folder / "layer.json"
        if file.is_file():
            content = read_json(file, hint="write the layer again")
            with parsing(file, hint="write the layer again"):
                maker = content["info"].get("made_by")
            if maker == _MAKER:
                return
        elif (self.folder / _JOURNAL).exists() or not any(self.folder.glob("*")):
            return
        raise DataError(
            f"{self.folder}: a layer that `vila2 browse` did not write",
            hint="give another --corrections NAME",
        )

    def _is_written(self) -> bool:
        file = self.folder / "layer.json"
        if not file.is_file() or self._journal is None:
            return False
        written = read_json(file, hint="write the layer again")
        return bool(written["info"].get("changes") == len(self._journal.entries))

    def _is_recent(self) -> bool:
        with self._lock:
            newest = max((one.when for one in self._state.values()), default=0.0)
        return time.time() - newest < _QUIET_SECONDS


def _plain(text: str) -> str:
    return text.replace("\r\n", "\n").strip()


def _judgment(mark: str) -> Judgment:
    for known in _JUDGMENTS:
        if mark == known:
            return known
    raise DataError(f"there is no mark {mark!r}", hint="use good, bad, or none")


def _check(made: Correction, row: Annotation) -> None:
    """Refuses what cannot be stored, or makes no sense."""
    if len(made.text) > max(_LONGEST_TEXT, len(made.before)) or len(made.note) > _LONGEST_NOTE:
        raise DataError(f"a text has at most {_LONGEST_TEXT} characters, and a note {_LONGEST_NOTE}")
    try:
        (made.text + made.note).encode()
    except UnicodeEncodeError as error:
        raise DataError("the text holds half a character, which UTF-8 cannot store") from error
    if made.corrected and not made.text.strip():
        raise DataError("a corrected text is not empty", hint="mark the answer as bad instead")
    if made.corrected and row.turns:
        raise DataError("this answer is several turns, with places", hint="mark it as good or bad instead")
    if made.mark == "good" and not made.corrected and not (row.text.strip() or row.turns):
        raise DataError("there is no text that could be good", hint="write one")
