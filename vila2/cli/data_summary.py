"""What ``vila2 data`` says of a dataset: after an import, and with its statistics; as text and as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from vila2.cli.amounts import one_line
from vila2.cli.options import quoted

if TYPE_CHECKING:
    from vila2.data.layers import LayerStatistics
    from vila2.data.shards import DatasetInfo, ShardDataset

_LONGEST = 100  # characters of a text that is shown


def import_json(info: DatasetInfo) -> str:
    """The facts of an import, as JSON."""
    facts = {"folder": str(info.folder), "name": info.name, "samples": info.count, "digest": info.digest}
    facts |= {"shards": len(info.shards), "rejected": info.rejected}
    return json.dumps(facts | ({"nulled": info.nulled} if info.nulled else {}), ensure_ascii=False)


def import_text(info: DatasetInfo) -> str:
    """The facts of an import, and what to do next."""
    lines = [f"{quoted(info.folder)}: {info.count} samples in {len(info.shards)} shards"]
    if info.nulled:
        fields = ", ".join(f"{name} {count}" for name, count in info.nulled.items())
        lines.append(f"meta: values that JSON cannot hold became null, in samples by field: {fields}")
    if info.rejected:
        reasons = ", ".join(f"{reason} {count}" for reason, count in info.rejected.items())
        named = quoted(info.folder / "rejected.jsonl")
        lines.append(f"rejected {sum(info.rejected.values())}: {reasons} (see {named})")
    return "\n".join([*lines, f"next: vila2 data preview {quoted(info.folder)}"])


def stats_json(dataset: ShardDataset, rows: list[tuple[str, LayerStatistics]]) -> dict[str, Any]:
    """The facts of a dataset and the statistics of its layers."""
    layers = [
        {
            "name": name,
            "captions": found.count,
            "words_mean": found.words_mean,
            "words_sd": found.words_sd,
            "statuses": found.statuses,
            "commonest": found.commonest,
            "commonest_count": found.commonest_count,
        }
        for name, found in rows
    ]
    facts = {
        "name": dataset.name,
        "folder": dataset.place,
        "samples": len(dataset),
        "without_image": len(dataset.without_image()),
        "digest": dataset.digest,
        "rejected": dataset.rejected,
        "left_alone": {kind: left.count for kind, left in dataset.left_alone().items()},
    }
    return facts | {"layers": layers}


def stats_text(dataset: ShardDataset, rows: list[tuple[str, LayerStatistics]], name: str = "") -> str:
    """The same as a table.

    Args:
        dataset: the dataset.
        rows: names and statistics of its layers.
        name: its name in a run; "" where it is shown alone.
    """
    width = max(len(name) for name, _ in rows)
    bare = len(dataset.without_image())
    images = f", {bare} of them without an image" if bare else ""
    lines = [f"{name or dataset.name}: {len(dataset)} samples in {len(dataset.shards)} shards{images}"]
    if name:
        lines[0] += f", {quoted(dataset.place)}"
    if dataset.rejected:
        lines.append(
            "rejected: " + ", ".join(f"{reason} {count}" for reason, count in dataset.rejected.items())
        )
    for kind, left in dataset.left_alone().items():
        lines.append(f"left alone: {left.count} members of this kind: {kind} (for example {left.example})")
    lines.append(f"{'layer':{width}}  {'captions':>9}  {'words, mean ± sd':>16}  status")
    for name, found in rows:
        words = f"{found.words_mean:.1f} ± {found.words_sd:.1f}"
        shares = ", ".join(f"{status} {count / found.count:.1%}" for status, count in found.statuses.items())
        lines.append(f"{name:{width}}  {found.count:>9}  {words:>16}  {shares}")
    lines += [f"commonest in {name}: {told}" for name, found in rows if (told := commonest_told(found))]
    return "\n".join(lines)


def commonest_told(found: LayerStatistics) -> str:
    """The text that stands on the most images, and on how many; "" where no text stands on two."""
    if not found.commonest_count:
        return ""
    usable = found.statuses.get("ok", 0)
    return f"{found.commonest_count} of {usable} say {one_line(found.commonest, _LONGEST)!r}"
