"""Identifies a model's weights and settings by a digest, without reading gigabytes."""

from __future__ import annotations

import hashlib
from pathlib import Path

from vila2.model.checkpoint_files import check_safetensors

# The files that a model's answers depend on, besides its weights.
_SETTINGS = ("*.json", "*.jinja", "*.txt", "*.model")
_SAMPLE = 1024  # bytes


def digest_folder(folder: Path) -> str:
    """Computes the digest of a saved model.

    The digest covers settings and tokenizer files completely. Of the weights it covers the header, and the
    first, middle and last kilobyte of every tensor. Training changes nearly every number of a tensor, so two
    checkpoints get different digests. A manual change of single numbers can go unnoticed.

    Args:
        folder: folder that ``save_pretrained`` wrote.

    Returns:
        16 hexadecimal digits.

    Raises:
        ModelError: a weight file that is truncated or not a safetensors file.
    """
    digest = hashlib.sha256()
    settings = {path for pattern in _SETTINGS for path in folder.glob(pattern)}
    for path in sorted(settings):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    for path in sorted(folder.glob("*.safetensors")):
        digest.update(path.name.encode() + b"\0")
        _add_weights(digest, path)
    return digest.hexdigest()[:16]


def _add_weights(digest: hashlib._Hash, path: Path) -> None:
    """Adds a safetensors file, which is 8 bytes with the length of a JSON header, the header, the tensors."""
    header = check_safetensors(path)
    with path.open("rb") as file:
        file.seek(8)
        digest.update(file.read(header.bytes))
        for _, place in sorted(header.places.items()):
            start, end = (8 + header.bytes + offset for offset in place)
            for sampled in (start, (start + end) // 2, max(start, end - _SAMPLE)):
                file.seek(sampled)
                digest.update(file.read(min(_SAMPLE, end - sampled)))
