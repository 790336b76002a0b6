"""How many tokens a request is expected to have, so that requests of one length are asked together."""

from __future__ import annotations

from typing import Any

from vila2.data.images import image_size
from vila2.engine.protocol import Request
from vila2.errors import DataError
from vila2.model.processing import Vila2Processor

#: Characters and pixels that are taken for a token, where the processor does not count.
_CHARACTERS, _PIXELS = 4, 28 * 28


class ExpectedLengths:
    """Estimates lengths; a wrong one costs padding, and nothing else.

    Args:
        processor: processor of the model.
    """

    def __init__(self, processor: Any) -> None:
        self._processor = processor
        self._by_size: dict[tuple[int, int], int] = {}

    def of(self, request: Request) -> int:
        """The expected number of tokens of a request with its images."""
        characters = len(request.prompt) + sum(
            len(one.text) + len(request.prompt) for one in request.examples
        )
        return characters // _CHARACTERS + sum(map(self._image, request.shown_images))

    def _image(self, image: bytes) -> int:
        try:
            size = image_size(image, where="image")
        except DataError:
            return 0  # refused, with its reason, when it is asked about
        return self.of_size(size)

    def of_size(self, size: tuple[int, int]) -> int:
        """The expected number of tokens of an image of this width and height."""
        if size not in self._by_size:
            self._by_size[size] = self._counted(size)
        return self._by_size[size]

    def _counted(self, size: tuple[int, int]) -> int:
        if isinstance(self._processor, Vila2Processor):
            return len(self._processor.image_ids(size))
        count = getattr(self._processor, "_get_num_multimodal_tokens", None)
        try:
            return int(count(image_sizes=[(size[1], size[0])])["num_image_tokens"][0])  # type: ignore[misc]
        except Exception:  # a processor without it, or one that counts only sizes that it likes
            return size[0] * size[1] // _PIXELS
