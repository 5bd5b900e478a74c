"""Parquet files, read back by somebody else's reader."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, strategies as st

from tocsin.core import parquet
from tocsin.core.parquet import Column, Kind, Parquet

pytestmark = pytest.mark.claim("H6")
COLUMNS = (
    Column("host", Kind.TEXT, may_be_empty=True),
    Column("name", Kind.TEXT),
    Column("at", Kind.TIME),
    Column("count", Kind.WHOLE, may_be_empty=True),
    Column("value", Kind.NUMBER),
)
AT = 1_764_028_800_000
Row = tuple[Any, ...]
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
reader = duckdb.connect()
rows = st.lists(
    st.tuples(
        st.none() | st.sampled_from(["web-1", "web-2"]) | TEXT,
        TEXT,
        st.integers(-(2**40), 2**41),
        st.none() | st.integers(-(2**63), 2**63 - 1),
        st.floats(allow_nan=False, width=64),
    ),
    max_size=60,
)


def read(path: Path) -> list[Row]:
    question = """SELECT host, name, epoch_ms("at"), "count", "value" FROM read_parquet(?)"""
    return reader.execute(question, [str(path)]).fetchall()


def write(path: Path, pieces: Sequence[Sequence[Row]]) -> None:
    file = Parquet(COLUMNS)
    path.write_bytes(b"".join([*map(file.rows, pieces), file.end()]))


@given(st.lists(rows, max_size=4))
def test_whatever_was_written_is_read_back(tmp_path_factory: pytest.TempPathFactory, pieces: list[list[Row]]) -> None:
    path = tmp_path_factory.getbasetemp() / "any.parquet"
    write(path, pieces)
    assert read(path) == [row for piece in pieces for row in piece]


def test_many_groups_and_long_runs_are_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "GROUP", 700)
    every = [
        (None if n % 900 < 40 else f"web-{n // 1_000}", ["cpu_percent", f"odd_{n}"][n % 13 == 0], AT + n * 1_000, n, n / 7)
        for n in range(5_000)
    ]
    write(tmp_path / "file.parquet", [every[start : start + 333] for start in range(0, 5_000, 333)])
    assert read(tmp_path / "file.parquet") == every
    path = str(tmp_path / "file.parquet")
    assert reader.execute("SELECT count(DISTINCT row_group_id) FROM parquet_metadata(?)", [path]).fetchone() == (8,)
    kinds = reader.execute("""SELECT typeof("at"), epoch_ms("at") FROM read_parquet(?) LIMIT 1""", [path]).fetchone()
    assert kinds == ("TIMESTAMP WITH TIME ZONE", AT)


def test_what_repeats_takes_next_to_nothing(tmp_path: Path) -> None:
    write(tmp_path / "file.parquet", [[("web-1.example.com", "cpu_percent", AT + n * 300_000, None, 12.5) for n in range(50_000)]])
    assert (tmp_path / "file.parquet").stat().st_size < 4 * 50_000
