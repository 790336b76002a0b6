"""The summary of ``vila2 recaption``: counts of a job, as JSON and as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypedDict

from vila2.cli.options import quoted

if TYPE_CHECKING:
    from vila2.caption.photos import PhotoSummary
    from vila2.caption.several_samples import ChoiceCounts
    from vila2.cli.asking import Asking


class Summary(TypedDict, total=False):
    """The result of a job, as ``--json`` prints it; photos and layers have some counts of their own.

    Attributes:
        written: file, folder or stream of the captions.
        photos: number of photos.
        samples: number of samples in the dataset.
        captions: number of captions, earlier ones included.
        new, redone: number of captions that this command wrote, and wrote again.
        left: number of images that have no caption yet.
        without_image: number of samples without an image.
        statuses: number of captions by their mark.
        words_mean, words_sd: words of a usable caption, mean and standard deviation.
        commonest: of a layer, the text that stands on the most images, and on how many; "" if all differ.
        rejected: number of images that could not be read.
        rejected_file: file that names them; None: they were named on the terminal.
        other_files: number of files that are no images.
        repeated: number of links or lines that lead to an image again.
        choices: what was chosen, where captions were chosen among several samples.
        seconds: time of the job.
        model: name of the model.
        next: command that is the next step, or an empty text.
    """

    written: str
    photos: int
    samples: int
    captions: int
    new: int
    redone: int
    left: int
    without_image: int
    statuses: Mapping[str, int]
    words_mean: float
    words_sd: float
    commonest: str
    rejected: int
    rejected_file: str | None
    other_files: int
    repeated: int
    choices: Mapping[str, int | float]
    seconds: float
    model: str
    next: str


def photo_summary(summary: PhotoSummary, written: str) -> Summary:
    """Returns the summary of a job on photos, without its time, its model and the next command."""
    return {
        "written": written,
        "photos": summary.photos,
        "captions": summary.count,
        "new": summary.new,
        "redone": summary.redone,
        "left": summary.left,
        "statuses": summary.statuses,
        "words_mean": round(summary.words_mean, 2),
        "words_sd": round(summary.words_sd, 2),
        "rejected": summary.rejected,
        "rejected_file": str(summary.rejected_file) if summary.rejected_file else None,
        "other_files": summary.other_files,
        "repeated": summary.repeated,
        **chosen_summary(summary.choices),
    }


def chosen_summary(choices: ChoiceCounts | None) -> Summary:
    """Returns what a summary says of choices among samples: nothing where there were none."""
    return {"choices": choices.to_json()} if choices else {}


def summary_text(summary: Summary, asking: Asking, *, is_stream: bool) -> str:
    """Writes a summary for a reader.

    Args:
        summary: result of a job, with its time, its model and the next command.
        asking: how the job asked about images.
        is_stream: whether the captions went to a stream, where no later job can redo them.
    """
    new = summary["new"] + summary["redone"]
    rate = new / summary["seconds"] if summary["seconds"] else 0.0
    statuses = ", ".join(f"{count} {status}" for status, count in summary["statuses"].items()) or "none"
    lines = [
        f"captions   {summary['captions']} ({statuses})",
        f"words      {summary['words_mean']:.1f} ± {summary['words_sd']:.1f} per usable caption",
        f"rate       {rate:.2f} images/s ({new} in {summary['seconds']:.1f} s)",
    ]
    if commonest := summary.get("commonest"):
        lines.append(f"commonest  {commonest}")
    if choices := summary.get("choices"):
        by_words = f"; {choices['by_words']} compared word by word" if choices["by_words"] else ""
        lines.append(
            f"chosen     the first sample for {choices['first']} of {choices['images']} images; "
            f"mean agreement {choices['agreement']:.2f}{by_words}"
        )
    if asking.redo:
        lines.append(f"redone     {summary['redone']} captions that were {' or '.join(asking.redo)}")
    if summary.get("rejected"):
        named = quoted(summary["rejected_file"]) if summary["rejected_file"] else "named above"
        lines.append(f"rejected   {summary['rejected']} images could not be read: {named}")
    if summary.get("without_image"):
        lines.append(f"left alone {summary['without_image']} samples without an image")
    if summary.get("other_files"):
        lines.append(f"left out   {summary['other_files']} files that are no images")
    if summary.get("repeated"):
        lines.append(f"met twice  {summary['repeated']} links or lines that lead to images read already")
    if summary.get("left"):
        why = "--limit" if asking.limit and not asking.redo else "--redo"
        lines.append(
            f"to do      {summary['left']} images have no caption yet; the command without {why} goes on"
        )
    faulty = {mark: count for mark, count in summary["statuses"].items() if mark not in ("ok", "error")}
    if faulty and not asking.redo and not is_stream:
        marks = ",".join(faulty)
        count = sum(faulty.values())
        lines.append(
            f"again      add --redo {marks} (and, say, --max-new-tokens) to ask again for {count} of them"
        )
    lines.append(f"written    {quoted(summary['written'])}")
    return "\n".join([*lines, f"next       {summary['next']}"] if summary["next"] else lines)
