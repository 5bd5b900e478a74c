"""Conditions that many statements share, and that mean the same on both databases."""

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa


def contains(columns: Iterable[sa.ColumnElement[Any]], needle: str) -> sa.ColumnElement[bool]:
    """Whether one of *columns* holds *needle*, in any case (SQLite: for ASCII letters)."""
    pattern = "%" + needle.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
    return sa.or_(*[column.ilike(pattern, escape="\\") for column in columns])


def type_fits(column: sa.ColumnElement[Any], wanted: str) -> sa.ColumnElement[bool]:
    """Whether a type is *wanted*, or begins so where *wanted* ends in a dot."""
    if wanted.endswith("."):
        return sa.func.substr(column, 1, len(wanted)) == wanted
    return column == wanted


def of_sites(column: sa.ColumnElement[Any], site_ids: frozenset[int] | None) -> tuple[sa.ColumnElement[bool], ...]:
    """The condition that a row is of one of *site_ids*: what whoever asks may see. None: all, no condition."""
    return () if site_ids is None else (column.in_(sorted(site_ids)),)
