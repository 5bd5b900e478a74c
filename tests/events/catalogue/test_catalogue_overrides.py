"""A site can change each row."""

from collections.abc import Mapping

import msgspec
import pytest

from tocsin.core.errors import InvalidInput
from tocsin.events.catalogue.model import Category, Description, Override
from tocsin.events.catalogue.rules import Catalogue, apply, unknown_row

pytestmark = pytest.mark.claim("E6")


def described(event_type: str, attributes: Mapping[str, object], *overrides: Override) -> Description:
    return Catalogue.with_overrides(overrides).describe(event_type, attributes)


def test_a_type_made_always_loud_is_a_problem_with_the_loud_severity() -> None:
    found = described("invoice.created", {"invoiceid": 1042}, Override(type="invoice.created", loud="always"))
    assert (found.status, found.severity) == ("problem", 4)


@pytest.mark.claim("B8")
def test_a_type_made_never_loud_is_only_recorded() -> None:
    found = described("service.provision_failed", {"serviceid": 77}, Override(type="service.provision_failed", loud="never"))
    assert found.status == "info"


def test_a_recovery_made_never_loud_still_resolves() -> None:
    found = described("service.terminated", {"serviceid": 77}, Override(type="service.terminated", loud="never"))
    assert found.status == "recovery"
    assert "service.terminate_failed" in found.recovers


def test_a_condition_made_never_loud_no_longer_makes_failed_payments() -> None:
    callback = {"gateway": "stripe", "result": "Declined", "invoiceid": 1042}
    found = described("gateway.callback_logged", callback, Override(type="gateway.callback_logged", loud="never"))
    assert (found.type, found.status, found.recovers) == ("gateway.callback_logged", "info", ())


def test_the_activity_log_made_never_loud_is_only_recorded() -> None:
    found = described("system.activity", {"pattern": "cron_error"}, Override(type="system.activity", loud="never"))
    assert (found.type, found.status) == ("system.activity", "info")


def test_a_failed_payment_can_be_made_quiet_by_its_own_name() -> None:
    callback = {"gateway": "stripe", "result": "Declined", "invoiceid": 1042}
    found = described("gateway.callback_logged", callback, Override(type="invoice.payment_failed", loud="never"))
    assert (found.type, found.status) == ("invoice.payment_failed", "info")


def test_a_type_made_always_loud_does_not_resolve_itself() -> None:
    changed = {"domainid": 12, "functionSuccessful": True}
    found = described("domain.dns_changed", changed, Override(type="domain.dns_changed", loud="always"))
    assert (found.status, found.severity, found.recovers) == ("problem", 4, ())
    assert found.title == "Domain 12: DNS records changed at the registrar"


@pytest.mark.claim("B8")
@pytest.mark.parametrize(("severity", "status"), [(5, "problem"), (3, "problem"), (2, "info")])
def test_the_severity_of_a_row_without_condition_decides_whether_it_is_loud(severity: int, status: str) -> None:
    for event_type in ("service.provision_failed", "invoice.created"):
        found = described(event_type, {}, Override(type=event_type, severity=severity))
        assert (found.severity, found.status) == (severity, status)


def test_a_row_with_condition_has_a_loud_and_a_quiet_severity() -> None:
    override = Override(type="ticket.opened", severity=5, quiet_severity=1)
    assert described("ticket.opened", {"priority": "High"}, override).severity == 5
    assert described("ticket.opened", {"priority": "Low"}, override).severity == 1


def test_a_title_of_the_site_may_use_any_attribute() -> None:
    override = Override(type="order.created", title="New order {OrderID}[ by {paymentmethod}] on {host}|New order")
    catalogue = Catalogue.with_overrides((override,))
    attributes = {"OrderID": 1203, "PaymentMethod": "paypal"}
    assert catalogue.describe("order.created", attributes, None, "shop", None).title == "New order 1203 by paypal on shop"
    assert catalogue.describe("order.created", attributes).title == "New order"


def test_a_title_that_cannot_be_filled_falls_back_to_the_type_in_words() -> None:
    assert described("order.created", {}, Override(type="order.created", title="Order {nothing}")).title == "Order created"


def test_a_title_of_the_site_replaces_both_titles_of_a_row() -> None:
    override = Override(type="domain.dns_changed", title="DNS of {domain}|DNS")
    assert described("domain.dns_changed", {"functionSuccessful": False, "domain": "a.org"}, override).title == "DNS of a.org"


def test_a_site_may_describe_types_of_its_own() -> None:
    override = Override(type="backup.slow", severity=2, title="Backup of {host} is slow", category=Category.SERVERS)
    catalogue = Catalogue.with_overrides((override,))
    found = catalogue.describe("backup.slow", None, None, "web1", None)
    assert (found.severity, found.status, found.title) == (2, "info", "Backup of web1 is slow")
    assert catalogue.get("backup.slow") == apply(unknown_row("backup.slow"), override)


def test_what_is_not_named_stays_as_it_is() -> None:
    row = Catalogue.default().get("ticket.opened")
    assert row is not None
    assert apply(row, Override(type="ticket.opened")) == row
    assert apply(row, Override(type="ticket.opened", category=Category.USERS)) == msgspec.structs.replace(row, category=Category.USERS)


def test_the_rows_of_one_site_do_not_change_those_of_another() -> None:
    Catalogue.with_overrides((Override(type="invoice.created", loud="always"),))
    assert Catalogue.default().describe("invoice.created", {}).status == "info"


def test_all_rows_can_be_listed() -> None:
    catalogue = Catalogue.default()
    assert {row.type for row in catalogue.rows()} >= {"invoice.paid", "invoice.payment_failed"}
    assert catalogue.get("no.such_type") is None


def test_overrides_are_read_from_json_as_they_are_stored() -> None:
    stored = msgspec.json.encode(Override(type="ticket.opened", severity=5, category=Category.USERS, loud="always"))
    assert msgspec.json.decode(stored, type=Override) == Override(type="ticket.opened", severity=5, category=Category.USERS, loud="always")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("type", "Not A Type"),
        ("type", "a" * 101),
        ("severity", 0),
        ("severity", 6),
        ("quiet_severity", 9),
        ("loud", "sometimes"),
        ("category", "cats"),
        ("title", ""),
        ("title", " "),
        ("title", "x" * 201),
        ("title", "two\nlines"),
        ("title", "{not a name}"),
        ("title", "open [bracket"),
        ("title", "nested [a [b]]"),
        ("title", "an empty alternative|"),
        ("title", "lonely } brace"),
    ],
)
def test_a_wrong_change_is_refused_and_names_the_field(field: str, value: object) -> None:
    with pytest.raises(InvalidInput) as refused:
        Override(**{"type": "ticket.opened", field: value})  # type: ignore[arg-type]  # wrong on purpose
    assert [error.field for error in refused.value.errors] == [field]
