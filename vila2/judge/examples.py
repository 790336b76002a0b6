"""Examples of wins and losses for the page, chosen by hash, not by eye."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence

from vila2.data.images import decode_image
from vila2.data.shards import ShardDataset
from vila2.errors import DataError
from vila2.judge.pairs import Pair
from vila2.judge.votes import Vote, VoteOutcome, decide
from vila2.report.judged_results import JudgedExample

#: Largest number of examples for each ending of each two layers.
EACH = 4
_SIDE = 320  # pixels


def choose_examples(
    pairs: Sequence[Pair], votes_on: Callable[[str], tuple[Vote, ...]], dataset: ShardDataset
) -> list[JudgedExample]:
    """Chooses the first pairs of each ending: won, lost, a tie, and orders that disagree."""
    found: dict[tuple[object, ...], list[VoteOutcome]] = {}
    for pair in pairs:
        outcome = decide(pair, votes_on(pair.id))
        if outcome.kind in ("decided", "tie", "inconsistent"):
            own = found.setdefault((*pair.layers, outcome.kind, outcome.score), [])
            if len(own) < EACH:
                own.append(outcome)
    return [_example(outcome, dataset) for own in found.values() for outcome in own]


def picture(data: bytes, *, where: str, side: int) -> bytes:
    """Makes a new JPEG of an image file, with nothing of the old file in it but its pixels.

    Args:
        data: image file.
        where: name of the image, for the error.
        side: largest width and height, in pixels.

    Raises:
        DataError: the image cannot be decoded.
    """
    image = decode_image(data, where=where)
    image.thumbnail((side, side))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=88)
    return file.getvalue()


def _example(outcome: VoteOutcome, dataset: ShardDataset) -> JudgedExample:
    pair = outcome.pair
    source: str | None
    try:
        image = picture(dataset[dataset.find(pair.key)].images[0], where=pair.key, side=_SIDE)
        source = f"data:image/jpeg;base64,{base64.b64encode(image).decode()}"
    except DataError:  # a page without this picture is still a page
        source = None
    return {
        "key": pair.key,
        "image": source,
        "layers": list(pair.layers),
        "texts": list(pair.texts),
        "kind": outcome.kind,
        "score": outcome.score,
        "said": [{"shown": vote.shown, "verdict": vote.verdict, "said": vote.said} for vote in outcome.votes],
    }
