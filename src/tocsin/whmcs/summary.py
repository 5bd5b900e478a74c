"""What is known of a site's WHMCS, put together from the last look at each action: for the API and the page."""

from collections.abc import Mapping
from typing import TypeVar

import msgspec

from tocsin.whmcs.facts import ACTIONS
from tocsin.whmcs.model import Admins, Automation, Capacities, Capacity, Counts, Health, Look, Queue, Version

Facts = TypeVar("Facts", bound=msgspec.Struct)


class Summary(msgspec.Struct, frozen=True):
    """See the module. Moments are ours, in milliseconds; None and empty: not known."""

    version: str | None
    last_daily: int | None
    health: Health | None
    waiting: int | None
    waiting_since: int | None
    first_waiting: tuple[str, ...]
    servers: tuple[Capacity, ...]
    admins: int | None
    without_second_factor: int | None
    counts: dict[str, int]
    income: dict[str, str]
    actions: tuple[Look, ...]  # in the order in which they are asked


def summary(looks: Mapping[str, Look]) -> Summary:
    """All that the last looks say."""
    version, clock = _facts(looks, "WhmcsDetails", Version), _facts(looks, "GetAutomationLog", Automation)
    queue, servers = _facts(looks, "GetModuleQueue", Queue), _facts(looks, "GetServers", Capacities)
    admins = _facts(looks, "GetAdminUsers", Admins)
    numbers = [found for name in ("GetTicketCounts", "GetStats") if (found := _facts(looks, name, Counts)) is not None]
    enabled = None if admins is None else [one for one in admins.admins if not one.disabled]
    return Summary(
        version=None if version is None else version.version,
        last_daily=None if clock is None else _ours(looks, clock, clock.last_daily),
        health=_facts(looks, "GetHealthStatus", Health),
        waiting=None if queue is None else queue.waiting,
        waiting_since=None if queue is None or clock is None else _ours(looks, clock, queue.oldest),
        first_waiting=() if queue is None else queue.first,
        servers=() if servers is None else servers.servers,
        admins=None if enabled is None else len(enabled),
        without_second_factor=None if enabled is None else sum(not one.two_factor for one in enabled),
        counts={name: count for found in numbers for name, count in found.counts.items()},
        income={name: amount for found in numbers for name, amount in found.income.items()},
        actions=tuple(looks[action.name] for action in ACTIONS if action.name in looks),
    )


def _facts(looks: Mapping[str, Look], name: str, shape: type[Facts]) -> Facts | None:
    look = looks.get(name)
    return None if look is None or look.facts is None else msgspec.json.decode(look.facts, type=shape)


def _ours(looks: Mapping[str, Look], clock: Automation, theirs: int | None) -> int | None:
    """A moment of the WHMCS server's wall clock, by our clock."""
    answered_at = looks["GetAutomationLog"].answered_at
    return None if theirs is None or answered_at is None else answered_at - (clock.server_time - theirs)
