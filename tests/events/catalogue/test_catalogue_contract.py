"""The catalogue against the hooks that the bridge registers: ``contracts/whmcs-hooks.json``."""

import json
from pathlib import Path
from typing import Any

import pytest

from tocsin.core.severity import Severity
from tocsin.events.catalogue.model import Category, Condition
from tocsin.events.catalogue.rows import DERIVED_ROWS, HOOK_ROWS, METRICS, ROWS

pytestmark = [pytest.mark.claim("E2"), pytest.mark.claim("E6"), pytest.mark.claim("origin:K1")]

CONTRACT = json.loads((Path(__file__).parents[3] / "contracts" / "whmcs-hooks.json").read_text())
EVENTS: dict[str, dict[str, Any]] = {hook["event_type"]: hook for hook in CONTRACT["hooks"] if hook["kind"] == "event"}
COUNTED: dict[str, dict[str, Any]] = {hook["name"]: hook for hook in CONTRACT["hooks"] if hook["kind"] == "metric"}
BY_TYPE = {row.type: row for row in HOOK_ROWS}

# Documented to run on failure too; there it stands for the failure's own type. The vendor's list has no condition for it.
OUR_CONDITIONS = {"domain.transfer_submitted": Condition.REGISTRAR_FAILED}

# Which drawer a hook's own category belongs to, where its type does not say.
DRAWERS = {
    "affiliate": Category.USERS,
    "client": Category.USERS,
    "contact": Category.USERS,
    "user": Category.USERS,
    "order": Category.ORDERS,
    "gateway": Category.INVOICES,
    "invoice": Category.INVOICES,
    "quote": Category.INVOICES,
    "transaction": Category.INVOICES,
    "support": Category.SUPPORT,
    "ticket": Category.SUPPORT,
    "addon": Category.SERVERS,
    "addon_feature": Category.SERVERS,
    "domain": Category.SERVERS,
    "license": Category.SERVERS,
    "network_issue": Category.SERVERS,
    "server": Category.SERVERS,
    "service": Category.SERVERS,
    "system": Category.SYSTEM,
}


def attribute(path: str) -> str:
    """The attribute that carries a documented parameter: ``params.serviceid`` is ``serviceid``, ``user.id`` is ``user_id``."""
    if path.startswith("params."):
        return path.removeprefix("params.")
    return {"invocieid": "invoiceid"}.get(path, path.replace(".", "_"))


def test_each_of_the_141_event_hooks_has_a_row_and_no_row_is_without_a_hook() -> None:
    assert len(HOOK_ROWS) == len(BY_TYPE) == len(EVENTS) == 141
    assert set(BY_TYPE) == set(EVENTS)


def test_no_type_has_two_rows() -> None:
    assert len({row.type for row in ROWS}) == len(ROWS)


@pytest.mark.parametrize("event_type", sorted(EVENTS))
def test_a_row_agrees_with_its_hook(event_type: str) -> None:
    row, hook = BY_TYPE[event_type], EVENTS[event_type]
    assert row.hook == hook["name"]
    assert (row.severity, row.quiet_severity) == (hook["severity"], hook["quiet_severity"])
    assert row.keys == tuple(attribute(path) for path in hook["subject_keys"])
    assert row.category is DRAWERS[event_type.split(".", maxsplit=1)[0]]
    condition = OUR_CONDITIONS.get(event_type)
    assert (row.when.value if row.when else None) == (condition.value if condition else hook.get("loud_when"))


@pytest.mark.parametrize("event_type", sorted(EVENTS))
def test_the_bridge_forwards_the_attribute_that_is_the_subject(event_type: str) -> None:
    row, hook = BY_TYPE[event_type], EVENTS[event_type]
    assert not row.keys or row.keys[0] in hook["forward"]


def test_the_loud_severity_of_a_hook_is_that_of_its_category() -> None:
    assert all(row.severity is row.category.severity for row in HOOK_ROWS)


def test_all_21_counted_hooks_are_named_metrics() -> None:
    assert len(METRICS) == len(COUNTED) == 21
    assert {metric.hook: metric.name for metric in METRICS} == {name: hook["metric_name"] for name, hook in COUNTED.items()}


def test_the_two_cron_hooks_are_heartbeats() -> None:
    assert {metric.hook for metric in METRICS if metric.heartbeat} == {"PreCronJob", "AfterCronJob"}


@pytest.mark.claim("E7")
def test_types_without_a_hook_are_rows_of_their_own() -> None:
    assert all(row.hook is None for row in DERIVED_ROWS)
    assert {row.type for row in DERIVED_ROWS} == {
        "admin.login_failed",
        "bridge.spool_dropped",
        "certificate.expiring",
        "certificate.renewed",
        "check.degraded",
        "check.down",
        "check.recovered",
        "client.login_failed",
        "heartbeat.failed",
        "heartbeat.missed",
        "heartbeat.overrunning",
        "heartbeat.recovered",
        "exporter.down",
        "host.clock_off",
        "host.disk_read_only",
        "host.raid_degraded",
        "host.rebooted",
        "host.renamed",
        "host.service_down",
        "host.silent",
        "host.top_processes",
        "host.unit_down",
        "invoice.payment_failed",
        "metric.above",
        "metric.below",
        "metric.no_data",
        "registration.expiring",
        "registration.renewed",
        "system.address_banned",
        "system.cron_error",
        "system.database_error",
        "system.license_problem",
        "system.mail_failed",
        "system.maintenance_ended",
        "system.maintenance_started",
        "system.module_error",
        "system.two_factor_failed",
        "tocsin.own_network",
        "whmcs.admin_added",
        "whmcs.admin_enabled",
        "whmcs.admin_role_changed",
        "whmcs.admin_two_factor_removed",
        "whmcs.cron_overdue",
        "whmcs.health_check",
        "whmcs.metrics",
        "whmcs.module_queue_stuck",
        "whmcs.server_full",
    }


def test_what_a_row_recovers_or_becomes_is_a_problem_of_the_catalogue() -> None:
    problems = {row.problem for row in ROWS}
    assert {name for row in ROWS for name in row.recovers} <= problems
    assert {row.becomes for row in ROWS if row.becomes} <= {row.type for row in ROWS}
    assert problems <= {row.type for row in ROWS}


def test_a_problem_is_resolved_only_by_events_about_the_same_kind_of_thing() -> None:
    kinds = {row.type: {row.kind, *(place.kind for place in row.elsewhere)} for row in ROWS}
    for row in ROWS:
        able = {row.kind, *(place.kind for place in row.recovers_on)}
        for name in row.recovers:
            assert able & kinds[name], f"{row.type} can never resolve {name}"


# Failures that nothing in WHMCS declares over: a person, a rule or a later check resolves them.
FOR_PEOPLE = {
    "system.cron_error",
    "system.module_error",
    "system.mail_failed",
    "system.two_factor_failed",
    "system.database_error",
}


def test_every_failure_has_something_that_resolves_it() -> None:
    resolvable = {name for row in ROWS for name in row.recovers}
    failures = {row.type for row in ROWS if row.type.endswith(("_failed", "_error")) and row.quiet_severity >= Severity.MEDIUM}
    assert failures - resolvable - {"admin.login_failed"} == FOR_PEOPLE
