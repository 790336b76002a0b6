"""Makes what the trainers need: ``python -m tests.exports.trainers.make_exports FOLDER``.

FOLDER/model     a tiny LLaVA with random weights and its processor
FOLDER/trl, ...  the same photos with captions and answers with boxes, in each trainer's format
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.families.making import photo
from tests.families.tiny import save_llava
from vila2.data.importing import write_dataset
from vila2.data.sample import BoxPart, ImagePart, Sample, assistant, user
from vila2.data.shards import ShardDataset
from vila2.data.views import View
from vila2.exports.conventions import CONVENTIONS
from vila2.exports.exporting import export_dataset


def main(folder: Path) -> None:
    """Makes the folder."""
    samples = [
        Sample(
            f"photo-{number}",
            (photo(number),),
            (
                user(ImagePart(), "Where is it?"),
                assistant("The thing is at ", BoxPart((0.1, 0.2, 0.5, 0.75)), "."),
                user("Describe the image."),
                assistant(f"This is photo number {number}."),
            ),
        )
        for number in range(8)
    ]
    write_dataset(folder / "data", samples, name="photos")
    dataset = ShardDataset.open(folder / "data")
    for to in ("trl", "llama-factory", "ms-swift"):
        view = View.parse("only(original)")
        export_dataset(dataset, {}, view, folder / to, to=to, convention=CONVENTIONS["unit"])
    (folder / "model").mkdir()
    save_llava(folder / "model")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
