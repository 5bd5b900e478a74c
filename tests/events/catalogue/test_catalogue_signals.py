"""E7: what no hook tells. Refused payments from gateway results, failures from the lines of the activity log."""

import pytest

from tocsin.core.errors import InvalidInput
from tocsin.events.catalogue.model import ActivityPattern
from tocsin.events.catalogue.results import Reading, read_result, reads_as_success
from tocsin.events.catalogue.rules import Catalogue

pytestmark = [pytest.mark.claim("E7"), pytest.mark.claim("origin:K1")]

CATALOGUE = Catalogue.default()


@pytest.mark.parametrize(
    "result",
    [
        "Successful", "Success", "SUCCESS", "success", "Payment Successful", "Transaction successful", "Approved", "APPROVED",
        "Completed", "Complete", "Accepted", "Paid", "Captured", "Charged", "Settled", "Processed", "Verified", "Confirmed",
        "OK", "ok", "Success (no errors)", "Completed without errors", "errors: 0, success", "charge.succeeded",
        "PAYMENT.CAPTURE.COMPLETED", "PaymentIntentSucceeded", "Authorised", "Authorized", "Refunded", "Approved - 123456",
        "Erfolgreich", "Bezahlt", "Aprobado", "Aprovada", "Réussi", "Éxito", "1", "00", 1, True,
    ],
)  # fmt: skip
def test_these_results_read_as_success(result: object) -> None:
    assert read_result(result) is Reading.SUCCESS


@pytest.mark.parametrize(
    "result",
    [
        "Pending",
        "Payment Pending",
        "pending approval",
        "Processing",
        "Initiated",
        "Awaiting confirmation",
        "In progress",
        "Payment received, pending",
    ],
)
def test_these_results_say_that_the_payment_is_under_way(result: str) -> None:
    assert read_result(result) is Reading.PENDING
    assert reads_as_success(result)


@pytest.mark.parametrize(
    "result",
    [
        "Declined", "DECLINED", "Card Declined", "Do not honor", "Error", "error", "Failed", "Failure", "Payment failed",
        "Unsuccessful", "UNSUCCESSFUL", "Not successful", "Invalid", "Invalid card", "Not approved", "Not yet approved",
        "Unapproved", "Disapproved", "Denied", "Refused", "Rejected", "Expired card", "Insufficient funds", "Incomplete",
        "Not completed", "Could not be completed: error 5", "Unauthorised", "Unauthorized", "Unverified", "Unpaid",
        "Hash Verification Failure", "Invoice ID Not Found", "charge.failed", "PAYMENT.CAPTURE.DENIED", "PaymentFailed",
        "requires_action", "authentication_required", "Success: false", "wasn't accepted", "Chargeback", "Fraud suspected",
        "Timeout", "Timed out", "Cancelled", "Exception: processed twice", "Abgelehnt", "Nicht erfolgreich", "Rechazado",
        "Échec", "05", "0", "something nobody has seen", False, 0, 5,
    ],
)  # fmt: skip
def test_these_results_do_not_read_as_success(result: object) -> None:
    assert read_result(result) is Reading.FAILURE
    assert not reads_as_success(result)


@pytest.mark.parametrize("result", [None, "", "   ", "--", [], {}, ["Declined"], 1.5])
def test_without_a_result_nothing_is_known(result: object) -> None:
    assert read_result(result) is Reading.UNKNOWN


@pytest.mark.claim("origin:M3")
class TestRefusedPayments:
    def test_a_refusal_becomes_a_failed_payment_of_its_invoice(self) -> None:
        found = CATALOGUE.describe("gateway.callback_logged", {"gateway": "stripe", "result": "Declined", "invoiceid": 1042})
        assert (found.type, found.problem, found.subject) == ("invoice.payment_failed", "invoice.payment_failed", "invoice:1042")
        assert (found.status, found.severity) == ("problem", 4)
        assert found.title == "Invoice 1042: payment refused by stripe"

    def test_without_an_invoice_the_refusal_belongs_to_the_gateway(self) -> None:
        found = CATALOGUE.describe("gateway.callback_logged", {"gateway": "stripe", "result": "Declined"})
        assert (found.subject, found.title) == ("gateway:stripe", "Payment refused by stripe")

    def test_refusals_of_one_invoice_are_one_problem_whatever_the_text(self) -> None:
        texts = ("Declined", "Insufficient funds", "Error 5012")
        found = [CATALOGUE.describe("gateway.callback_logged", {"gateway": "g", "result": text, "invoiceid": 1}) for text in texts]
        assert len({(one.problem, one.subject) for one in found}) == 1

    def test_a_success_of_the_gateway_resolves_the_refusal_of_the_invoice(self) -> None:
        found = CATALOGUE.describe("gateway.callback_logged", {"gateway": "stripe", "result": "Success", "invoiceid": 1042})
        assert (found.type, found.status, found.severity) == ("gateway.callback_logged", "recovery", 1)
        assert (found.recovers, found.recovery_subject) == (("invoice.payment_failed",), "invoice:1042")

    def test_a_success_without_an_invoice_resolves_the_refusal_of_the_gateway(self) -> None:
        found = CATALOGUE.describe("gateway.callback_logged", {"gateway": "stripe", "result": "Success"})
        assert (found.recovers, found.recovery_subject) == (("invoice.payment_failed",), "gateway:stripe")

    def test_a_payment_under_way_resolves_nothing_yet(self) -> None:
        found = CATALOGUE.describe("gateway.callback_logged", {"gateway": "stripe", "result": "Pending", "invoiceid": 1042})
        assert (found.status, found.recovers) == ("info", ())


@pytest.mark.claim("origin:M1")
@pytest.mark.claim("origin:M6")
class TestTheActivityLog:
    @pytest.mark.parametrize(
        ("line", "event_type"),
        [
            ("Failed Admin Login Attempt - Username: dana", "admin.login_failed"),
            ("Failed Admin Login Attempt - IP: 203.0.113.7", "admin.login_failed"),
            ("Admin Login Failed for dana", "admin.login_failed"),
            ("Invalid password for admin login", "admin.login_failed"),
            ("Failed Login Attempt - User ID: 118", "client.login_failed"),
            ("Failed Login Attempt - client@example.org", "client.login_failed"),
            ("Login failed: wrong password", "client.login_failed"),
            ("Two-Factor Authentication failed for User ID: 5", "system.two_factor_failed"),
            ("Invalid 2FA code during admin login", "system.two_factor_failed"),
            ("IP 203.0.113.7 banned after three attempts", "system.address_banned"),
            ("Credit Card Payment Failed - Invoice ID: 1042", "invoice.payment_failed"),
            ("Email Sending Failed - SMTP connect() failed (User ID: 118)", "system.mail_failed"),
            ("SQLSTATE[HY000]: General error: 2006 MySQL server has gone away", "system.database_error"),
            ("License Check Failed: connection refused", "system.license_problem"),
            ("Cron Job: Error while running task CurrencyUpdateExchangeRates", "system.cron_error"),
            ("Automated Task Domain Sync failed", "system.cron_error"),
            ("Module Create Failed - Service ID: 77 - Error: quota exceeded", "system.module_error"),
            ("Registrar Error: timed out", "system.module_error"),
        ],
    )
    @pytest.mark.parametrize("sent_as", ["description", "message"])
    def test_the_shipped_patterns_know_believable_lines(self, line: str, event_type: str, sent_as: str) -> None:
        description, message = (line, None) if sent_as == "description" else (None, line)
        found = CATALOGUE.describe("system.activity", {"hook": "LogActivity", "description": description}, message)
        assert found.type == event_type

    @pytest.mark.parametrize(
        "line",
        [
            "Modified Client - User ID: 118",
            "Created Invoice - Invoice ID: 1042",
            "Cron Job: Completed Daily Automation",
            "Email Sent to Dana Reyes (Invoice Created)",
            "Admin User Logged In",
            "Module Create Successful - Service ID: 77",
            "",
        ],
    )
    def test_ordinary_lines_are_only_recorded(self, line: str) -> None:
        found = CATALOGUE.describe("system.activity", {"description": line})
        assert (found.type, found.status, found.severity) == ("system.activity", "info", 1)

    @pytest.mark.parametrize("name", ["admin_login_failed", "Admin Login Failed", "admin.login_failed", "admin-login-failed"])
    def test_the_name_of_the_pattern_is_enough_where_the_text_stays_in_whmcs(self, name: str) -> None:
        found = CATALOGUE.describe("system.activity", {"hook": "LogActivity", "pattern": name})
        assert (found.type, found.status, found.title) == ("admin.login_failed", "problem", "Admin login failed")

    def test_the_name_and_the_text_together_say_who(self) -> None:
        line = "Failed Admin Login Attempt - Username: dana"
        found = CATALOGUE.describe("system.activity", {"pattern": "admin_login_failed", "description": line})
        assert (found.subject, found.title) == ("admin:dana", "Admin dana: login failed")

    def test_a_failed_payment_in_the_log_is_that_of_its_invoice(self) -> None:
        found = CATALOGUE.describe("system.activity", {}, "Credit Card Payment Failed - Invoice ID: 1042")
        assert (found.subject, found.title) == ("invoice:1042", "Invoice 1042: payment refused")

    def test_one_client_who_mistypes_a_password_wakes_nobody(self) -> None:
        found = CATALOGUE.describe("system.activity", {"pattern": "client_login_failed", "userid": 118})
        assert (found.type, found.status, found.severity, found.subject) == ("client.login_failed", "info", 2, "client:118")

    def test_the_names_that_the_bridge_ships_are_all_known(self) -> None:
        shipped = (
            "two_factor_failed admin_login_failed client_login_failed address_banned payment_failed "
            "mail_failed cron_error database_error licence_problem module_error"
        )
        types = {CATALOGUE.describe("system.activity", {"pattern": name}).type for name in shipped.split()}
        assert "system.activity" not in types
        assert len(types) == 10

    def test_a_name_that_only_the_bridge_knows_is_loud_and_named(self) -> None:
        found = CATALOGUE.describe("system.activity", {"pattern": "tax_rate_touched"})
        assert (found.type, found.status, found.title) == ("system.activity", "problem", "Activity log matches tax_rate_touched")


class TestPatternsOfASite:
    def test_a_site_turns_lines_into_types_of_its_own(self) -> None:
        own = ActivityPattern("exchange", r"exchange rates? .{0,20}stale (?P<days>\d+)", "billing.rates_stale")
        found = Catalogue.with_overrides((), (own,)).describe("system.activity", {}, "Exchange rates are stale 4 days")
        assert (found.type, found.status, found.severity, found.title) == (
            "billing.rates_stale",
            "problem",
            3,
            "Billing rates stale",
        )

    def test_a_pattern_of_the_site_is_tried_before_the_shipped_ones(self) -> None:
        own = ActivityPattern("ours", "failed admin login", "security.admin")
        assert Catalogue.with_overrides((), (own,)).describe("system.activity", {}, "Failed Admin Login Attempt").type == "security.admin"

    def test_a_pattern_of_the_same_name_replaces_the_shipped_one(self) -> None:
        own = ActivityPattern("cron_error", "cron exploded", "system.cron_error")
        catalogue = Catalogue.with_overrides((), (own,))
        assert catalogue.describe("system.activity", {}, "Cron Job: Error").type == "system.activity"
        assert catalogue.describe("system.activity", {}, "the cron exploded").type == "system.cron_error"

    @pytest.mark.parametrize(
        ("pattern", "why"),
        [
            ("", "1 to 300 characters"),
            ("x" * 301, "1 to 300 characters"),
            ("(unclosed", "not a regular expression"),
            ("(a+)+$", "a group cannot be repeated"),
            ("(a|aa)*b", "a group cannot be repeated"),
            ("(?:a?){40}b", "a group cannot be repeated"),
            (r"(a)\1", "refer back"),
            (r"(?P<a>x)(?P=a)", "refer back"),
            (".*.*.*x", "too many repeats"),
            ("a{0,100}b{0,100}c{0,100}d", "too many repeats"),
        ],
    )
    def test_a_pattern_that_could_stall_the_intake_is_refused(self, pattern: str, why: str) -> None:
        with pytest.raises(InvalidInput, match=why):
            ActivityPattern("mine", pattern, "security.mine")

    @pytest.mark.parametrize(
        "pattern",
        ["failed.*login.*from", r"^\[[^\]]+\] .{0,40}error", r"a\(b\)*", "(?i:x)?y|z", r"[(+*]+\*", r"(?P<n>\d+)? left"],
    )
    def test_an_ordinary_pattern_is_taken(self, pattern: str) -> None:
        assert ActivityPattern("mine", pattern, "security.mine").pattern == pattern

    @pytest.mark.parametrize(("name", "event_type"), [("", "a.b"), ("x" * 61, "a.b"), ("mine", "No Type"), ("mine", "a..b"), ("mine", "")])
    def test_a_pattern_needs_a_name_and_a_type(self, name: str, event_type: str) -> None:
        with pytest.raises(InvalidInput):
            ActivityPattern(name, "x", event_type)
