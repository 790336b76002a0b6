"""Make the small pretrained parts that ship with the miniature world: a vision tower and a language model.

    python examples/miniature/make_parts.py vision --minutes 20 --threads 1
    python examples/miniature/make_parts.py language --minutes 25 --threads 1

How the shipped parts were taught, phase by phase, is in their teaching.json ("after" is the phase before).

Only scenes of the "vision" and "language" splits are used.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from language_part import make_language
from vision_part import make_vision

from vila2.sources.world.scene_questions import KINDS

PARTS = Path(__file__).parents[2] / "vila2" / "sources" / "world" / "parts"


def main() -> None:
    """Parse the command line and make the part it names."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", choices=["vision", "language"])
    parser.add_argument("--minutes", type=float, required=True, help="wall-clock minutes of training")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="folder to write, by default the one in the package")
    parser.add_argument("--start", type=Path, help="language: go on from this folder")
    parser.add_argument("--captions", type=float, default=0.2, help="language: share of steps on captions")
    parser.add_argument("--rate", type=float, default=1e-3, help="language: learning rate")
    parser.add_argument("--batch", type=int, default=24, help="language: scenes in a step")
    parser.add_argument(
        "--focus", choices=KINDS, help="language: ask this kind nearly alone, off its plateau"
    )
    parser.add_argument(
        "--letters-apart", action="store_true", help="language: move the letters' vectors apart before"
    )
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    out = options.out or PARTS / options.part
    if options.part == "vision":
        make_vision(out, options.minutes, seed=options.seed)
    else:
        make_language(
            out,
            options.minutes,
            options.seed,
            options.start,
            options.captions,
            options.batch,
            options.rate,
            options.focus,
            options.letters_apart,
        )


if __name__ == "__main__":
    main()
