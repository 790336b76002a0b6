"""JSON files of chats: LLaVA, ShareGPT, LLaMA-Factory and ms-swift, with image files beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vila2.data.atomic import write_json_atomic
from vila2.data.sample import BoxPart, PointPart, TextPart, Turn
from vila2.exports.export_rows import ExportRow
from vila2.exports.writer import CannotHold, JsonLines, check_no_marks
from vila2.exports.written_images import WrittenImages

_IMAGE = "<image>"
_MEDIA = (_IMAGE, "<video>", "<audio>")
_SPEAKERS = {"system": "system", "user": "human", "assistant": "gpt"}
#: The name of an export's data in LLaMA-Factory's ``dataset_info.json``.
DATA_NAME = "vila2"


class ShareGptWriter:
    """Rows ``{"id", "images": [...], "conversations": [{"from", "value"}]}`` of ShareGPT, in a JSON array."""

    def __init__(self, folder: Path) -> None:
        self._rows = JsonLines(folder / "data.json", array=True)
        self._images = WrittenImages(folder)

    def add(self, row: ExportRow) -> None:
        """Writes a row."""
        check_no_marks(row, _MEDIA)
        said = [{"from": _SPEAKERS[turn.role], "value": row.text(turn, _IMAGE)} for turn in row.turns]
        images = self._image_field(self._images.place(row.image_key, row.images))
        self._rows.add({"id": row.key, **images, "conversations": said})

    def close(self) -> None:
        """Completes the array."""
        self._rows.close()

    def _image_field(self, names: list[str]) -> dict[str, Any]:
        return {"images": names}


class LlavaWriter(ShareGptWriter):
    """Rows ``{"id", "image", "conversations": [{"from", "value"}]}`` of LLaVA; several images are a list."""

    def _image_field(self, names: list[str]) -> dict[str, Any]:
        return {"image": names[0] if len(names) == 1 else names} if names else {}


class LlamaFactoryWriter:
    """Rows ``{"messages": [{"role", "content"}], "images"}``, and their ``dataset_info.json``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._rows = JsonLines(folder / "data.json", array=True)
        self._images = WrittenImages(folder)

    def add(self, row: ExportRow) -> None:
        """Writes a row."""
        check_no_marks(row, _MEDIA)
        said = [{"role": turn.role, "content": row.text(turn, _IMAGE)} for turn in row.turns]
        self._rows.add({"messages": said, "images": self._images.place(row.image_key, row.images)})

    def close(self) -> None:
        """Completes the array and describes it."""
        self._rows.close()
        about = {
            "file_name": "data.json",
            "formatting": "sharegpt",
            "columns": {"messages": "messages", "images": "images"},
            "tags": {
                "role_tag": "role",
                "content_tag": "content",
                "user_tag": "user",
                "assistant_tag": "assistant",
                "system_tag": "system",
            },
        }
        write_json_atomic(self._folder / "dataset_info.json", {DATA_NAME: about})


class SwiftWriter:
    """Rows of ms-swift: ``messages``, ``images`` and ``objects``, whose boxes swift writes as its model does.

    A box or point stands as ``<bbox>`` in the text, and as unit coordinates (``norm1``) in ``objects``. So
    the convention of the export counts only for polygons, of which swift knows nothing. An answer that does
    not count has ``"loss": false``.
    """

    _MARKS = (*_MEDIA, "<bbox>", "<ref-object>")

    def __init__(self, folder: Path) -> None:
        self._rows = JsonLines(folder / "data.jsonl", array=False)
        self._images = WrittenImages(folder)

    def add(self, row: ExportRow) -> None:
        """Writes a row."""
        check_no_marks(row, self._MARKS)
        places = [place for turn in row.turns for place in _places(turn)]
        if places and len(row.images) != 1:
            raise CannotHold("bad-place", f"a place in {len(row.images)} images belongs to none of them")
        said = [self._message(row, turn) for turn in row.turns]
        written: dict[str, Any] = {
            "messages": said,
            "images": self._images.place(row.image_key, row.images),
        }
        if places:
            written["objects"] = {"ref": [], "bbox": places, "bbox_type": "norm1"}
        self._rows.add(written)

    def close(self) -> None:
        """Completes the file."""
        self._rows.close()

    def _message(self, row: ExportRow, turn: Turn) -> dict[str, Any]:
        marked = tuple(
            TextPart("<bbox>") if isinstance(part, BoxPart | PointPart) else part for part in turn.parts
        )
        content = row.text(Turn(turn.role, marked), _IMAGE)
        silent = turn.role == "assistant" and not turn.trained
        return {"role": turn.role, "content": content} | ({"loss": False} if silent else {})


def _places(turn: Turn) -> list[list[float]]:
    return [
        list(part.box if isinstance(part, BoxPart) else part.point)
        for part in turn.parts
        if isinstance(part, BoxPart | PointPart)
    ]
