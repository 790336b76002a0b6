"""Dates as a reader sees them."""

from __future__ import annotations

from datetime import datetime


def written_date(stamp: str) -> str:
    """A date and time, to the minute, with the offset of its time zone.

    >>> written_date("2026-12-01T00:53:02+0000"), written_date("2026-07-09T18:00:59+0200")
    ('December 1, 2026, 00:53 UTC', 'July 9, 2026, 18:00 UTC+02:00')
    """
    time = datetime.strptime(stamp, "%Y-%m-%dT%H:%M:%S%z")
    zone = time.tzname() or "UTC"
    return f"{time:%B} {time.day}, {time.year}, {time:%H:%M} {zone}"
