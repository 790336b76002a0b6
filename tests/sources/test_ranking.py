"""The best rows by a score: exact for any order and any files, on COYO's metadata and on downloaded tars."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, strategies as st
from typer.testing import CliRunner

from vila2.errors import DataError
from vila2.sources.ranking import Scores, rank, score_values
from vila2.sources.selecting import select_rows

ROWS = st.lists(
    st.tuples(st.sampled_from([None, math.nan, 0.1, 0.25, 0.25, 0.3, 0.5]), st.integers(0, 10**6)),
    min_size=1,
    max_size=60,
    unique_by=lambda row: row[1],
)


def in_batches(rows: list, size: int):
    def read():
        for start in range(0, len(rows), size):
            some = rows[start : start + size]
            yield Scores(score_values([score for score, _ in some]), [key for _, key in some])

    return read


def sorted_best(rows: list, top: int, floor: float) -> set:
    """What is meant: sort by score, equal ones by key, take the first."""
    able = [(-s, str(k)) for s, k in rows if s is not None and not math.isnan(s) and s >= floor]
    return {key for _, key in sorted(able)[:top]}


@given(ROWS, st.integers(1, 20), st.sampled_from([0.0, 0.25, 0.3]), st.integers(1, 7), st.randoms())
def test_the_best_rows_are_those_that_sorting_gives(rows, top, floor, size, randomly):
    expected = sorted_best(rows, top, floor)
    for _ in range(2):
        randomly.shuffle(rows)
        if not expected:
            with pytest.raises(DataError, match="no row has a score"):
                rank(in_batches(rows, size), top=top, min_score=floor)
            continue
        ranking = rank(in_batches(rows, size), top=top, min_score=floor)
        assert {str(key) for score, key in rows if ranking.takes(score, key)} == expected
        assert ranking.count == len(expected)
        for some in in_batches(rows, size)():
            each = [
                ranking.takes(score, key) for score, key in zip(some.values.tolist(), some.keys, strict=True)
            ]
            assert ranking.taken(some).tolist() == each


def test_memory_goes_with_what_is_taken():
    """Two million rows, of which ten are taken: a few thousand numbers are ever held."""
    import tracemalloc

    def read():
        numbers = np.random.default_rng(0)
        for part in range(200):
            yield Scores(numbers.random(10_000), range(part * 10_000, (part + 1) * 10_000))

    tracemalloc.start()
    ranking = rank(read, top=10)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2e6, "all scores are 16 MB"
    assert (
        sum(
            ranking.takes(score, key)
            for values, keys in read()
            for score, key in zip(values.tolist(), keys, strict=True)
        )
        == 10
    )


@pytest.fixture
def coyo(tmp_path) -> Path:
    """Two Parquet files as COYO's."""
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    rows = [{"id": n, "url": f"http://x/{n}", "clip": 0.5 if n in (3, 5, 8) else n / 100} for n in range(10)]
    random.Random(0).shuffle(rows)
    folder = tmp_path / "coyo"
    folder.mkdir()
    for number in range(2):
        some = rows[number * 5 : number * 5 + 5]
        pq.write_table(pa.Table.from_pylist(some), folder / f"part-{number}.parquet")
    return folder


def test_selected_rows_are_written_in_their_order(coyo, tmp_path):
    import pyarrow.parquet as pq

    everyone = [row for n in range(2) for row in pq.read_table(coyo / f"part-{n}.parquet").to_pylist()]
    ranking = select_rows(coyo, tmp_path / "out" / "best.parquet", rank_by="clip", top=2)
    assert (ranking.count, ranking.lowest) == (2, 0.5)
    found = pq.read_table(tmp_path / "out" / "best.parquet").to_pylist()
    assert found == [row for row in everyone if row["id"] in (3, 5)], (
        "8 scores as well, but 3 and 5 come first"
    )
    select_rows(coyo, tmp_path / "out" / "good.parquet", rank_by="clip", min_score=0.07)
    assert {row["id"] for row in pq.read_table(tmp_path / "out" / "good.parquet").to_pylist()} == {
        3,
        5,
        7,
        8,
        9,
    }


def test_select_is_a_command(coyo, tmp_path):
    from vila2.cli.main import app

    out = tmp_path / "best.parquet"
    said = CliRunner().invoke(
        app, ["data", "select", str(coyo), "--top", "4", "--rank-by", "clip", "-o", str(out)]
    )
    assert said.exit_code == 0 and "4 rows with clip from 0.09 up" in said.output
    assert out.exists()


def test_lines_are_selected_to_lines_and_what_is_wrong_is_named(coyo, tmp_path):
    lines = tmp_path / "rows.jsonl"
    lines.write_text("".join(json.dumps({"id": n, "score": n % 3}) + "\n" for n in range(6)) + "broken\n")
    select_rows(lines, tmp_path / "best.jsonl", rank_by="score", top=3)
    assert [json.loads(line)["id"] for line in (tmp_path / "best.jsonl").read_text().splitlines()] == [
        1,
        2,
        5,
    ]
    with pytest.raises(DataError, match=r"no column 'clip_similarity'(.|\n)*its columns are id, url, clip"):
        select_rows(coyo, tmp_path / "x.parquet", rank_by="clip_similarity", top=1)
    with pytest.raises(DataError, match=r"name the output x\.parquet"):
        select_rows(coyo, tmp_path / "x.jsonl", rank_by="clip", top=1)
    with pytest.raises(DataError, match="nothing to select by"):
        select_rows(coyo, tmp_path / "x.parquet", rank_by="clip")
    assert not list(tmp_path.glob("*x.*"))


def written(folder: Path, name: str, **columns: object) -> Path:
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    folder.mkdir(exist_ok=True)
    pq.write_table(pa.table(columns), folder / name)
    return folder / name


@pytest.mark.parametrize("kind", ["parquet", "jsonl"])
def test_ids_that_repeat_do_not_add_rows(tmp_path, kind):
    import pyarrow.parquet as pq

    rows = [
        {"id": key, "score": score}
        for key, score in ((2, 0.3), (1, 0.3), (1, 0.3), (1, 0.3), (0, 0.1), (3, 0.9))
    ]
    path, out = tmp_path / f"rows.{kind}", tmp_path / f"best.{kind}"
    if kind == "parquet":
        written(
            tmp_path, "rows.parquet", id=[row["id"] for row in rows], score=[row["score"] for row in rows]
        )
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    for top in range(1, 7):
        ranking = select_rows(path, out, rank_by="score", top=top)
        found = (
            pq.read_table(out).to_pylist()
            if kind == "parquet"
            else list(map(json.loads, out.read_text().splitlines()))
        )
        assert len(found) == ranking.count == top
        assert sorted(row["score"] for row in found) == sorted(row["score"] for row in rows)[-top:]


def test_scores_of_other_kinds_are_numbers_or_named(tmp_path):
    from decimal import Decimal

    import pyarrow as pa
    import pyarrow.parquet as pq

    for scores in (
        [1, 3, 2],
        pa.array([0.5, 3.5, 2.5], pa.float16()),
        [Decimal("0.5"), Decimal("3.5"), None],
    ):
        path = written(tmp_path, "rows.parquet", id=[0, 1, 2], score=scores)
        select_rows(path, tmp_path / "best.parquet", rank_by="score", top=1)
        assert pq.read_table(tmp_path / "best.parquet")["id"].to_pylist() == [1]
    for scores, kind in (
        (["0.5", "3", "2"], "string"),
        ([[1.0], [2.0], [3.0]], "list"),
        ([True, False, True], "bool"),
    ):
        path = written(tmp_path, "rows.parquet", id=[0, 1, 2], score=scores)
        with pytest.raises(DataError, match=rf"rows\.parquet: 'score' holds values of the type {kind}"):
            select_rows(path, tmp_path / "best.parquet", rank_by="score", top=1)
    lines = tmp_path / "rows.jsonl"
    lines.write_text('{"id": 1, "score": "0.5"}\n')
    with pytest.raises(DataError, match=r"rows\.jsonl:1: 'score' holds the text '0\.5'"):
        select_rows(lines, tmp_path / "best.jsonl", rank_by="score", top=1)
    assert score_values([True, "1", None, 2, 10**400, -(10**400)]).tolist()[3:] == [2.0, math.inf, -math.inf]


def test_missing_columns_and_other_types_are_named(tmp_path):
    lines = tmp_path / "rows.jsonl"
    lines.write_text('{"url": "a", "clip": 1}\n{"url": "b", "clip": 2}\nbroken\n')
    with pytest.raises(DataError, match=r"no column 'id', so equal scores(.|\n)*its columns are url, clip"):
        select_rows(lines, tmp_path / "best.jsonl", rank_by="clip", top=1)
    with pytest.raises(DataError, match=r"no column 'score', so no row has a score"):
        select_rows(lines, tmp_path / "best.jsonl", rank_by="score", key="url", top=1)
    assert select_rows(lines, tmp_path / "best.jsonl", rank_by="clip", key="url", top=1).unread == 1
    folder = tmp_path / "parts"
    written(folder, "0.parquet", id=[1], clip=[0.5])
    written(folder, "1.parquet", id=["1"], clip=[0.5])
    with pytest.raises(
        DataError, match=r"1\.parquet: its columns differ from those of 0\.parquet: id is string, not int64"
    ):
        select_rows(folder, tmp_path / "best.parquet", rank_by="clip", top=2)
