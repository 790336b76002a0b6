"""Pictures that a resting vision tower has seen before: their features are kept instead of computed again.

The same pictures come back many times: in every epoch of a stage, with every question of a benchmark, in every
round. Where the tower rests, what it sees in them stays the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import torch

from vila2.model.configuration import Vila2Config

#: Bytes of features that are kept; what comes later is computed each time.
LIMIT = 512 * 2**20


class SeenBefore:
    """The features of pictures, by the digest of their pixels.

    Nothing is ever thrown out for something new: pictures come in turns, and of a memory that is too small for one
    turn the oldest would always go just before they are wanted.

    Args:
        limit: in bytes; about how much is kept.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self.limit = limit
        self.kept: dict[bytes, torch.Tensor] = {}
        self.bytes = 0

    def __call__(
        self, pixel_values: torch.Tensor, look: Callable[[torch.Tensor], torch.Tensor]
    ) -> torch.Tensor:
        """Features [pictures, cells, C] of pixels [pictures, 3, height, width]; ``look`` computes those not kept."""
        keys = [_digest(picture) for picture in pixel_values]
        new = {key: place for place, key in enumerate(keys) if key not in self.kept}
        places = [*new.values()]
        if len(places) == 1:  # kernels round a single picture otherwise than several: never let one be alone
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
    """Lets a model of our family keep the features of its resting vision tower, where it computes on the CPU.

    The models of one process whose towers are the same share what is kept: a run's stages and rounds do.
    Any other model is left as it is, and so is every one on a machine with a GPU, where to compare pixels would
    cost a wait at each step.

    Args:
        model: its vision tower must not learn from here on.
    """
    global _latest
    config = getattr(model, "config", None)
    if not isinstance(config, Vila2Config) or torch.cuda.is_available():
        return
    weights = model.model.vision_tower.state_dict().values()
    key = _digest(*weights, about=f"{config.vision_config.to_json_string()} {config.vision_feature_layer}")
    if _latest is None or _latest[0] != key:
        _latest = key, SeenBefore()
    model.model.seen_before = _latest[1]


def _digest(*tensors: torch.Tensor, about: str = "") -> bytes:
    digest = hashlib.blake2b(about.encode(), digest_size=16)
    for tensor in tensors:
        digest.update(f"{tensor.dtype} {tuple(tensor.shape)}".encode())
        # As bytes, since numpy knows no bfloat16.
        digest.update(tensor.detach().contiguous().flatten().view(torch.uint8).numpy())
    return digest.digest()
