"""A redo of some captions of a file: new ones are collected beside it and replace the old at the end."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from vila2.caption.photo_files import Photo
from vila2.caption.photo_output import KnownPhoto, PhotoOutput, Row
from vila2.data.annotations import Status
from vila2.data.job_files import OutputLock, different_settings
from vila2.data.journal import Journal


class PhotoRedo:
    """A redo under way; killed at any moment, the same call resumes it.

    Args:
        output: captions file.
        statuses: marks of the captions to redo; "error" stands for images that could not be read.
        job: description of the job.
    """

    def __init__(self, output: PhotoOutput, statuses: Collection[Status], job: Mapping[str, Any]) -> None:
        self.output, self.statuses = output, frozenset(statuses)
        self.job = {"statuses": sorted(statuses), **job}
        self.journal = Journal(output.redo)

    def adopt_other(self, lock: OutputLock) -> None:
        """Puts the captions of an earlier redo with other settings, which was stopped, into their places."""
        entries = self.journal.entries
        if entries and entries[0] != self.job:
            self._settle(lock)
            self.journal = Journal(self.output.redo)
        if self.statuses and not self.journal.entries:
            self.journal.append(self.job)

    def due(self, photos: Sequence[Photo], rows: Sequence[KnownPhoto]) -> list[Photo]:
        """The photos to describe again."""
        again = {row.key for row in rows if row.status in self.statuses}
        if "error" in self.statuses:
            again |= {reject["key"] for reject in self.output.rejects()}
        again -= {row["key"] for batch in self.journal.entries[1:] for row in batch}
        return [photo for photo in photos if photo.key in again]

    def keep(self, rows: Sequence[Row]) -> None:
        """Keeps the new captions of a batch; they are on disk when this returns."""
        if rows:
            self.journal.append(list(rows))

    def finish(self, lock: OutputLock) -> tuple[int, int]:
        """Puts the new captions into their places.

        Returns:
            The number of captions replaced, and the number of captions of photos that had none.
        """
        return self._settle(lock)

    def _settle(self, lock: OutputLock) -> tuple[int, int]:
        job, *batches = self.journal.entries
        changed = different_settings(self.output.earlier() or {}, job)
        said = {"settings": changed} if changed else {}
        new: dict[str, Row] = {row["key"]: row | said for batch in batches for row in batch}
        kept = {row.key for row in self.output.rows()}
        if new:
            more = [row for key, row in new.items() if key not in kept]
            self.output.replace_rows(lambda row: new.get(row["key"], row), lock, more)
            self.output.forget_rejects(new)
            record = {"statuses": job["statuses"], "captions": len(new), **changed}
            earlier = (self.output.earlier() or {}).get("redone", [])
            if not earlier or earlier[-1] != record:  # a kill came between this and the next line
                self.output.remember(redone=[*earlier, record])
        self.journal.remove()
        return len(new.keys() & kept), len(new.keys() - kept)
