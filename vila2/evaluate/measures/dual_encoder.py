"""Scoring images against texts by a CLIP-like model: two encoders and the cosine of what they give."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoConfig, AutoModel, AutoProcessor

from vila2.data.images import decode_image
from vila2.errors import ModelError
from vila2.model.checkpoint_files import check_settings, check_weights
from vila2.model.digest import digest_folder
from vila2.model.loading import Location, loading
from vila2.model.weights import load_weights


class DualEncoder:
    """CLIP, SigLIP and their kin, from a folder of safetensors that ``save_pretrained`` wrote.

    Args:
        folder: of model and processor.
        device: where it goes; None is the GPU where there is one.

    Raises:
        ModelError: no such folder, pickled weights, or a model that does not encode texts and images apart.
    """

    unit = "cosine"

    def __init__(self, folder: str | Path, *, device: str | torch.device | None = None) -> None:
        check_scorer(folder)
        # What a checkpoint brings along is never run, and weights are safetensors or nothing.
        model = load_weights(
            AutoModel, Location(str(folder)), what="image-text scorer", name=folder, trust_remote_code=False
        )
        with loading("image-text scorer", folder):
            self.processor = AutoProcessor.from_pretrained(folder, trust_remote_code=False)
        if not (hasattr(model, "get_image_features") and hasattr(model, "get_text_features")):
            raise ModelError(
                f"{folder}: a {type(model).__name__} has no two encoders", hint="give a CLIP or SigLIP"
            )
        self.model = model.eval().to(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.longest = int(getattr(model.config.get_text_config(), "max_position_embeddings", 64))
        self.name = Path(folder).resolve().name
        self.digest = digest_folder(Path(folder))

    def score(self, images: Sequence[bytes], texts: Sequence[str]) -> np.ndarray:
        """Cosines [images, texts] in -1..1; CLIPScore (arXiv 2104.08718) is 2.5 times what of it is above 0."""
        pictures = [decode_image(data, where=f"image {n}") for n, data in enumerate(images)]
        seen = self._features(
            self.model.get_image_features, self.processor(images=pictures, return_tensors="pt")
        )
        read = self._features(self.model.get_text_features, self._tokens(list(texts)))
        return (seen @ read.T).numpy()

    def is_cut(self, text: str) -> bool:
        """Whether the model reads only the beginning of a text."""
        return len(self.processor.tokenizer(text)["input_ids"]) > self.longest

    def _tokens(self, texts: list[str]) -> Any:
        # SigLIP was trained on texts padded to its longest; CLIP does not mind.
        return self.processor.tokenizer(
            texts, padding="max_length", truncation=True, max_length=self.longest, return_tensors="pt"
        )

    def _features(self, encode: Any, inputs: Any) -> torch.Tensor:
        with torch.inference_mode():
            found = encode(**{name: value.to(self.model.device) for name, value in inputs.items()})
        pooled = found if isinstance(found, torch.Tensor) else found.pooler_output
        return torch.nn.functional.normalize(pooled.float(), dim=-1).cpu()


def check_scorer(folder: str | Path) -> None:
    """Whether a folder looks like a scorer, before any work.

    Raises:
        ModelError: it is not there, or holds no safetensors.
    """
    path = Path(folder)
    if not (path / "config.json").is_file() or not next(path.glob("*.safetensors"), None):
        raise ModelError(
            f"{folder}: no image-text scorer here (config.json and *.safetensors)",
            hint="give the folder of a CLIP or SigLIP, as `save_pretrained` writes it",
        )
    check_settings(path)
    check_weights(path)
    with loading("image-text scorer", folder):
        AutoConfig.from_pretrained(path, trust_remote_code=False)
