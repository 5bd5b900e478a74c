"""Thresholds and series as the tests need them."""

from typing import Any

from tests.fakes import NOW
from tocsin.core.clock import MINUTE
from tocsin.thresholds.model import Direction, Sample, Threshold, Watched


def a_threshold(**changes: Any) -> Threshold:
    """Any disk: warning from 85, critical from 95, over below 80."""
    usual: dict[str, Any] = {"site_id": None, "host": None, "metric": "disk_percent", "labels": {}, "direction": Direction.ABOVE}
    limits: dict[str, Any] = {"warning": 85.0, "critical": 95.0, "clear": 80.0}
    return Threshold(**{"id": "01900000-0000-7000-8000-000000000001", **usual, **limits, **changes})


def a_series(**changes: Any) -> Watched:
    """``/var`` of web01."""
    usual: dict[str, Any] = {"id": 1, "site_id": 1, "name": "disk_percent", "host": "web01", "labels": {"mount": "/var"}}
    return Watched(**{**usual, **changes})


def each_minute(*values: float, start: int = NOW) -> list[Sample]:
    """One sample a minute."""
    return [Sample(start + place * MINUTE, value) for place, value in enumerate(values)]
