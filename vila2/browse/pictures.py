"""Images for the page, made when they are asked for; the last ones stay in memory."""

from __future__ import annotations

import threading
from collections import OrderedDict

from vila2.data.shards import ShardDataset
from vila2.errors import DataError
from vila2.judge.examples import picture

THUMBNAIL, FULL = 320, 1600  # pixels
_MEMORY = 64 * 2**20  # bytes


class Pictures:
    """New JPEGs of a dataset's images, with nothing of the old files in them but the pixels.

    Args:
        dataset: dataset with the images.
    """

    def __init__(self, dataset: ShardDataset) -> None:
        self._dataset = dataset
        self._kept: OrderedDict[tuple[int, int, int], bytes] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def of(self, number: int, index: int, side: int) -> bytes:
        """Gives an image.

        Args:
            number: number of the sample.
            index: number of the image in the sample.
            side: largest width and height, in pixels.

        Raises:
            DataError: there is no such image, or it cannot be decoded.
        """
        asked = number, index, side
        with self._lock:
            if asked in self._kept:
                self._kept.move_to_end(asked)
                return self._kept[asked]
        if not 0 <= number < len(self._dataset):
            raise DataError(f"there is no sample {number}")
        sample = self._dataset[number]
        if not 0 <= index < len(sample.images):
            raise DataError(f"{sample.key} has no image {index}")
        made = picture(sample.images[index], where=f"{sample.key}[{index}]", side=side)
        with self._lock:
            if asked not in self._kept:
                self._kept[asked] = made
                self._bytes += len(made)
            while self._bytes > _MEMORY:
                self._bytes -= len(self._kept.popitem(last=False)[1])
        return made
