"""The list of time zones."""

from zoneinfo import ZoneInfo

import pytest

from tocsin.core.zones import is_zone, zone_names


def test_every_zone_of_the_list_can_be_used() -> None:
    assert len(zone_names()) > 500
    assert all(ZoneInfo(name).key == name for name in zone_names())


@pytest.mark.parametrize("name", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC", "Asia/Kolkata", "Europe/Kyiv"])
def test_a_zone_is_known_by_its_name(name: str) -> None:
    assert is_zone(name)


@pytest.mark.parametrize(
    "name", ["", "Europe", "europe/berlin", "Europe/Berln", "posix/UTC", "localtime", "Factory", "../etc/passwd", "/UTC", "U\0TC"]
)
def test_anything_else_is_none(name: str) -> None:
    assert not is_zone(name)
