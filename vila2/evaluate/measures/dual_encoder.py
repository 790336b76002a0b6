"""Scoring images against texts by a CLIP-like model: the cosine of what its two encoders give."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoConfig, AutoModel, AutoProcessor

from vila2.data.images import decode_image
from vila2.errors import ModelError
from vila2.model.checkpoint_files import check_settings, check_weights
from vila2.model.digest import digest_folder
from vila2.model.loading import Location, loading
from vila2.model.weights import load_weights


class DualEncoder:
    """A scorer such as CLIP or SigLIP, from a folder of safetensors that ``save_pretrained`` wrote.

    Args:
        folder: folder of model and processor.
        device: device to compute on; by default the GPU where there is one.

    Attributes:
        name: name of the folder.
        digest: digest of the files in the folder.
        longest: number of tokens that the text encoder reads.

    Raises:
        ModelError: the folder does not exist, its weights are pickled, or the model has no separate encoders
            of texts and images.
    """

    unit = "cosine"

    def __init__(self, folder: str | Path, *, device: str | torch.device | None = None) -> None:
        check_scorer(folder)
        # Code of a checkpoint is never executed, and weights are safetensors or nothing.
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

    def score(self, images: Sequence[bytes], texts: Sequence[str]) -> NDArray[np.float32]:
        """Computes the cosines, [images, texts], in -1..1.

        CLIPScore (arXiv 2104.08718) is 2.5 times the cosine where that is above 0.
        """
        pictures = [decode_image(data, where=f"image {n}") for n, data in enumerate(images)]
        seen = self._features(
            self.model.get_image_features, self.processor(images=pictures, return_tensors="pt")
        )
        read = self._features(self.model.get_text_features, self._tokens(list(texts)))
        cosines: NDArray[np.float32] = (seen @ read.T).numpy()
        return cosines

    def is_cut(self, text: str) -> bool:
        """Tells whether the text is too long, so that the model reads only its beginning."""
        return len(self.processor.tokenizer(text)["input_ids"]) > self.longest

    def _tokens(self, texts: list[str]) -> Any:
        # SigLIP was trained on texts padded to its longest length. CLIP does not need it.
        return self.processor.tokenizer(
            texts, padding="max_length", truncation=True, max_length=self.longest, return_tensors="pt"
        )

    def _features(self, encode: Any, inputs: Any) -> torch.Tensor:
        with torch.inference_mode():
            found = encode(**{name: value.to(self.model.device) for name, value in inputs.items()})
        pooled = found if isinstance(found, torch.Tensor) else found.pooler_output
        return torch.nn.functional.normalize(pooled.float(), dim=-1).cpu()


def check_scorer(folder: str | Path) -> None:
    """Checks that a folder holds a scorer, before any work is done.

    Raises:
        ModelError: the folder does not exist, or holds no safetensors.
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
