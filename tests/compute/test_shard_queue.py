"""Which shards workers are given, and how often."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from tests.caption.scripted import Scripted
from tests.compute.conftest import content
from vila2.caption.layer_parts import OtherPartsLeft
from vila2.caption.recaption import recaption
from vila2.compute.shard_queue import TRIES, ShardQueue, SharedPart
from vila2.engine.protocol import GenerationSettings


@given(st.integers(0, 20), st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=200))
def test_no_shard_is_lost_and_none_is_with_two_workers(shards: int, events: list[tuple[int, bool]]) -> None:
    queue, written, held = ShardQueue(range(shards)), set[int](), dict[int, list[int]]()
    for worker, ends in events:
        if not ends:
            if (shard := queue.take(worker)) is not None:
                assert all(shard not in own for own in held.values()) and shard not in written
                held.setdefault(worker, []).append(shard)
            continue
        own = held.pop(worker, [])
        written.update(own[::2])
        assert queue.end(worker, written.__contains__) == (own, [one for one in own if one not in written])
    under_way = sum(len(own) for own in held.values())
    assert len(queue) + len(written) + len(queue.failing) + under_way == shards


def test_a_shard_that_fails_is_given_alone_at_last_and_then_no_more() -> None:
    queue, written, bad = ShardQueue(range(4)), set[int](), 2
    given_with_the_bad_one = []
    for worker in range(20):
        own = []
        while (shard := queue.take(worker)) is not None:
            own.append(shard)
            if shard == bad:
                break  # here the worker is lost, with all that it had begun
        if bad in own:
            given_with_the_bad_one.append(own)
        else:
            written.update(own)
        queue.end(worker, written.__contains__)
    assert queue.failing == [bad] and written == {0, 1, 3} and not len(queue)
    assert len(given_with_the_bad_one) == TRIES and given_with_the_bad_one[-1] == [bad]


def written(dataset, name: str, part: SharedPart | None = None, stop_after: int | None = None):
    return recaption(
        dataset,
        Scripted(lambda key, settings: f"Seen: {key}", **({"stop_after": stop_after} if stop_after else {})),
        folder=dataset.folder / "layers" / name,
        layer="self-1",
        prompts=["simple", "long-v1"],
        settings=GenerationSettings(max_new_tokens=16),
        seed=5,
        batch_size=3,
        part=part,
    )


def test_what_a_lost_worker_had_begun_is_done_by_another_one(dataset) -> None:
    expected = content(written(dataset, "alone").folder)
    queue = ShardQueue(range(8))

    def part(worker: int) -> SharedPart:
        return SharedPart(1, 2, lambda: queue.take(worker), counts=worker == 1)

    with pytest.raises(KeyboardInterrupt):
        written(dataset, "shared", part(1), stop_after=5)
    folder = dataset.folder / "layers" / "shared"
    mine, again = queue.end(1, lambda shard: (folder / f"{shard:06d}.parquet").exists())
    assert again and len(mine) > len(again), "a shard was finished, and one was begun"
    assert content(written(dataset, "shared", part(2)).folder) == expected


def test_a_worker_that_came_last_leaves_the_layer_to_the_others(dataset) -> None:
    queue = ShardQueue([0, 1])
    with pytest.raises(OtherPartsLeft, match="6 of 8 shards"):
        written(dataset, "shared", SharedPart(2, 2, lambda: queue.take(2), counts=False))
