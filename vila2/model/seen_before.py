"""A cache of the features that a frozen vision tower computes.

The same pictures come back many times: in every epoch of a stage, with every question of a benchmark, in
every round. The features of a frozen tower stay the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import torch

from vila2.model.configuration import Vila2Config

#: Largest size of the kept features in bytes. Later pictures are computed each time.
LIMIT = 512 * 2**20


class SeenBefore:
    """Keeps features of pictures by the digest of their pixels.

    It never evicts: pictures come back in the same order, so in a cache that is too small for one pass the
    oldest would always be evicted just before they are needed.

    Args:
        limit: approximate largest size in bytes.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self.limit = limit
        self.kept: dict[bytes, torch.Tensor] = {}
        self.bytes = 0

    def __call__(
        self, pixel_values: torch.Tensor, look: Callable[[torch.Tensor], torch.Tensor]
    ) -> torch.Tensor:
        """Looks features up and computes the missing ones.

        Args:
            pixel_values: pixels [pictures, 3, height, width].
            look: function that computes the features of such pixels.

        Returns:
            Features [pictures, cells, C].
        """
        keys = [_digest(picture) for picture in pixel_values]
        new = {key: place for place, key in enumerate(keys) if key not in self.kept}
        places = [*new.values()]
        if len(places) == 1:  # kernels round a single picture differently, so a batch has at least two
            places *= 2
        looked = look(pixel_values[places])[: len(new)] if new else ()
        found = dict(zip(new, looked, strict=True))
        features = torch.stack([found[key] if key in found else self.kept[key] for key in keys])
        for key, picture in found.items():
            if self.bytes + picture.nbytes <= self.limit:
                self.kept[key] = picture.clone()
                self.bytes += picture.nbytes
        return features


_latest: tuple[bytes, SeenBefore] | None = None


def remember_pictures(model: Any) -> None:
    """Gives a model of our family, in place, a cache for its frozen vision tower on the CPU.

    Models of one process with equal towers share a cache, as the stages and rounds of a run do. Other models
    do not change. On a machine with a GPU no model does, since comparing pixels would wait for the GPU at
    each step.

    Args:
        model: model whose vision tower is not trained from here on.
    """
    global _latest
    config = getattr(model, "config", None)
    if not isinstance(config, Vila2Config) or torch.cuda.is_available():
        return
    weights = model.model.vision_tower.state_dict().values()
    key = _digest(*weights, about=f"{config.vision.to_json_string()} {config.vision_feature_layer}")
    if _latest is None or _latest[0] != key:
        _latest = key, SeenBefore()
    model.model.seen_before = _latest[1]


def _digest(*tensors: torch.Tensor, about: str = "") -> bytes:
    digest = hashlib.blake2b(about.encode(), digest_size=16)
    for tensor in tensors:
        digest.update(f"{tensor.dtype} {tuple(tensor.shape)}".encode())
        # As bytes, since numpy knows no bfloat16.
        digest.update(tensor.detach().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.digest()
