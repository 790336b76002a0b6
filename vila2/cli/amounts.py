"""Sizes and long texts in the form that commands print."""

from __future__ import annotations


def byte_size(count: float | None) -> str:
    """A number of bytes in a readable unit."""
    if count is None:
        return "unknown"
    for unit in ("B", "KB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


def one_line(text: str, limit: int = 600) -> str:
    """A text in one line; the middle of a long one is left out.

    Args:
        text: text to show.
        limit: number of characters at most.
    """
    line = text.replace("\n", "⏎")
    return line if len(line) <= limit else f"{line[: limit // 2]} … {line[-limit // 2 :]}"
