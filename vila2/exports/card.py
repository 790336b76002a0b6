"""The dataset card of an export: provenance, prompts, digests, licenses, and counts by status and fate."""

from __future__ import annotations

from collections import Counter

from vila2.exports.facts import Exported, LayerFacts

_SIZES = (
    (10**3, "n<1K"),
    (10**4, "1K<n<10K"),
    (10**5, "10K<n<100K"),
    (10**6, "100K<n<1M"),
    (10**7, "1M<n<10M"),
)
_LONGEST = 300  # characters of a prompt


def card_text(exported: Exported, license: str) -> str:
    """Writes the card as Markdown with the hub's metadata in front.

    Args:
        exported: facts of the export.
        license: license of the data; "" where it is not known.
    """
    from huggingface_hub import DatasetCardData

    # No `configs`: with them, `datasets` caches a local folder by its name alone and opens an older export.
    machine = any(layer.engine or layer.plugin for layer in (*exported.layers, *exported.sources))
    data = DatasetCardData(
        license=license or None,
        annotations_creators=["machine-generated"] if machine else None,
        task_categories=["image-text-to-text"],
        size_categories=[_size(exported.rows)],
        tags=["vila2"],
    )
    return f"---\n{data.to_yaml()}\n---\n\n" + "\n".join(_body(exported, license)) + "\n"


def _body(exported: Exported, license: str) -> list[str]:
    lines = [
        f"# {exported.dataset}: {exported.view}",
        "",
        f"{exported.rows} rows of {exported.samples} samples (`vila2 export --to {exported.format}`).",
        "",
        f"    {exported.use.replace(str(exported.folder), 'FOLDER')}",
        "",
        f"- Dataset `{exported.dataset}`, digest `{exported.digest[:16]}`.",
        f"- License: {license or 'not stated'}.",
        f"- Boxes and points: {_places(exported)}.",
    ]
    if exported.converted:
        lines.append(f"- {exported.converted} images were turned upright or written as PNG.")
    for title, counts in (("Left out", exported.left_out), ("Without a usable text", exported.dropped)):
        if counts:
            lines.append(
                f"- {title}: {_told(counts)}." + (" See `left_out.jsonl`." if title == "Left out" else "")
            )
    for layer in (*exported.layers, *exported.sources):
        lines += ["", *_layer(layer)]
    return lines


def _places(exported: Exported) -> str:
    if exported.format == "ms-swift":
        return "`<bbox>` in the text, unit coordinates (`norm1`) in `objects`"
    return f"`{exported.coordinates}`"


def _layer(layer: LayerFacts) -> list[str]:
    lines = [f"## Layer `{layer.name}`", "", f"- {layer.annotations} annotations: {_told(layer.statuses)}."]
    if layer.engine:
        lines.append(f"- Engine `{layer.engine}`, model digest `{layer.model[:16]}`.")
    if layer.plugin:
        lines.append(f"- Plugin {layer.plugin}.")
    if layer.made_of:
        merged = ", ".join(f"`{name}` (digest `{digest[:16]}`)" for name, digest in layer.made_of.items())
        lines.append(f"- Merged of {merged}.")
    if layer.license:
        lines.append(f"- License: {layer.license}.")
    if layer.fates:
        lines.append(f"- Sentences of the merge: {_told(layer.fates)}.")
    lines.append(f"- Digest `{layer.digest[:16]}`.")
    if layer.prompts:
        lines += ["- Prompts:", *(f"  - {' '.join(prompt.split())[:_LONGEST]}" for prompt in layer.prompts)]
    return lines


def _told(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in Counter(counts).most_common()) or "none"


def _size(rows: int) -> str:
    return next((name for limit, name in _SIZES if rows < limit), "n>10M")
