"""What the catalogue says of an event: loud or quiet, about what, in which words, and what it resolves."""

import pytest

from tocsin.events.catalogue.rules import Catalogue

CATALOGUE = Catalogue.default()
describe = CATALOGUE.describe


@pytest.mark.claim("E6")
class TestLoudness:
    @pytest.mark.parametrize(
        ("event_type", "attributes", "severity"),
        [
            ("transaction.created", {"id": 9, "refundid": 7}, 4),
            ("transaction.created", {"id": 9, "amountout": "12.50"}, 4),
            ("invoice.reminder_sent", {"invoiceid": 1042, "type": "secondoverdue"}, 4),
            ("invoice.reminder_sent", {"invoiceid": 1042, "type": "thirdoverdue"}, 4),
            ("domain.contacts_changed", {"domainid": 12, "functionSuccessful": False}, 4),
            ("domain.dns_changed", {"domainid": 12, "functionSuccessful": 0}, 4),
            ("domain.nameservers_changed", {"domainid": 12, "functionSuccessful": "false"}, 4),
            ("ticket.opened", {"ticketid": 3310, "priority": "High"}, 3),
            ("ticket.opened", {"ticketid": 3310, "priority": "Low", "deptname": "Emergency"}, 3),
            ("ticket.client_replied", {"ticketid": 3310, "priority": "high"}, 3),
            ("ticket.priority_changed", {"ticketid": 3310, "priority": "High"}, 3),
            ("system.mail_collection_completed", {"connectionErrors": 2}, 5),
            ("system.mail_collection_completed", {"connectionErrors": ["imap.example.org: refused"]}, 5),
            ("system.admin_login", {"adminid": 4, "unusual": True}, 5),
            ("system.activity", {"pattern": "a_pattern_of_the_bridge_alone"}, 5),
        ],
    )
    def test_an_event_whose_condition_holds_is_a_problem_with_the_loud_severity(
        self, event_type: str, attributes: dict[str, object], severity: int
    ) -> None:
        found = describe(event_type, attributes)
        assert (found.status, found.severity) == ("problem", severity)
        assert found.recovers == ()

    @pytest.mark.parametrize(
        ("event_type", "attributes", "severity"),
        [
            ("transaction.created", {"id": 9, "refundid": 0, "amountout": 0.0}, 1),
            ("invoice.reminder_sent", {"invoiceid": 1042, "type": "firstoverdue"}, 2),
            ("invoice.reminder_sent", {"invoiceid": 1042}, 2),
            ("domain.nameservers_changed", {"domainid": 12}, 3),
            ("ticket.opened", {"ticketid": 3310, "priority": "Low", "deptname": "Sales"}, 2),
            ("ticket.priority_changed", {"ticketid": 3310}, 2),
            ("system.mail_collection_completed", {}, 1),
            ("system.admin_login", {"adminid": 4}, 2),
            ("system.activity", {}, 1),
            ("gateway.callback_logged", {"gateway": "stripe", "result": ""}, 1),
            ("gateway.callback_logged", {"gateway": "stripe", "result": "Pending"}, 1),
        ],
    )
    def test_an_event_whose_condition_does_not_hold_is_only_recorded(
        self, event_type: str, attributes: dict[str, object], severity: int
    ) -> None:
        found = describe(event_type, attributes)
        assert (found.status, found.severity, found.recovers) == ("info", severity, ())

    def test_a_failure_without_condition_is_a_problem_with_its_quiet_severity(self) -> None:
        found = describe("service.provision_failed", {"serviceid": 77})
        assert (found.status, found.severity) == ("problem", 4)

    def test_good_news_is_never_a_problem(self) -> None:
        for event_type in ("invoice.paid", "user.login", "client.registered", "order.created", "service.provisioned"):
            assert describe(event_type, {}).status != "problem"

    def test_one_payment_with_its_three_hooks_pages_nobody(self) -> None:
        hooks = ("invoice.payment_applied", "invoice.paid", "order.paid")
        assert {describe(event_type, {"invoiceid": 1042, "orderid": 5}).status for event_type in hooks} == {"recovery"}


@pytest.mark.claim("E8")
class TestUnknownTypes:
    @pytest.mark.parametrize(
        ("event_type", "host", "subject", "title"),
        [
            ("disk.full", None, None, "Disk full"),
            ("disk.full", "web1.example.org", None, "Disk full on web1.example.org"),
            ("disk.full", None, "server:3", "Disk full: server 3"),
            ("disk.full", "web1", "server:3", "Disk full: server 3 on web1"),
            ("backup", None, None, "Backup"),
            ("ssl.expires_soon", None, "domain:example.org", "SSL expires soon: domain example.org"),
        ],
    )
    def test_an_unknown_type_is_a_problem_of_severity_3_named_in_words(
        self, event_type: str, host: str | None, subject: str | None, title: str
    ) -> None:
        found = describe(event_type, {"used": 97}, None, host, subject)
        assert (found.status, found.severity, found.title) == ("problem", 3, title)
        assert (found.type, found.problem, found.subject, found.recovers) == (event_type, event_type, subject, ())


@pytest.mark.claim("E6")
class TestSubjects:
    @pytest.mark.parametrize(
        ("event_type", "attributes", "subject"),
        [
            ("order.created", {"OrderID": 1203, "OrderNumber": 6120098471, "InvoiceID": 5530}, "order:1203"),
            ("order.paid", {"orderId": "1203", "userId": 118}, "order:1203"),
            ("ticket.deleted", {"ticketId": 3310}, "ticket:3310"),
            ("user.login", {"user_id": 131}, "user:131"),
            ("domain.transfer_failed", {"domainId": 12, "domain": "example.org"}, "domain:12"),
            ("domain.registration_failed", {"domain": "example.org"}, "domain:example.org"),
            ("invoice.paid", {"invoice_id": 1042}, "invoice:1042"),
            ("client.created", {"clientid": 118}, "client:118"),
            ("system.admin_login", {"adminid": 4, "username": "dana"}, "admin:4"),
            ("server.edited", {"serverid": 3.0}, "server:3"),
        ],
    )
    def test_the_first_key_is_the_subject(self, event_type: str, attributes: dict[str, object], subject: str) -> None:
        assert describe(event_type, attributes).subject == subject

    @pytest.mark.parametrize("nothing", [None, 0, "0", "", "  ", [], {}, [1], True, float("nan")])
    def test_a_subject_that_says_nothing_is_no_subject(self, nothing: object) -> None:
        found = describe("service.suspended", {"serviceid": nothing, "serverid": 3})
        assert (found.subject, found.title) == (None, "Service suspended on server 3")

    def test_a_subject_given_by_the_sender_wins_and_is_used_in_the_title(self) -> None:
        found = describe("invoice.payment_failed", {"invoiceid": 9, "gateway": "stripe"}, None, None, "invoice:1042")
        assert (found.subject, found.title) == ("invoice:1042", "Invoice 1042: payment refused by stripe")

    def test_a_subject_of_another_kind_does_not_lend_its_number_to_the_title(self) -> None:
        found = describe("invoice.paid", {"id": 5}, None, None, "order:1203")
        assert (found.subject, found.title) == ("order:1203", "Invoice paid")


class TestTitles:
    @pytest.mark.parametrize(
        ("event_type", "attributes", "title"),
        [
            ("service.provision_failed", {"serviceid": 77, "serverid": 3}, "Service 77: creation failed on server 3"),
            ("service.provision_failed", {"serviceid": 77}, "Service 77: creation failed"),
            ("service.provision_failed", {"serviceid": 77, "serverid": 0}, "Service 77: creation failed"),
            ("service.provision_failed", {}, "Service creation failed"),
            (
                "domain.dns_changed",
                {"domain": "example.org", "functionSuccessful": True},
                "Domain example.org: DNS records changed at the registrar",
            ),
            (
                "domain.dns_changed",
                {"domainid": 12, "functionSuccessful": False},
                "Domain 12: DNS record change failed at the registrar",
            ),
            ("network_issue.opened", {"id": 9, "title": "Switch failure"}, "Network issue 9 opened: Switch failure"),
            ("network_issue.opened", {"id": 9}, "Network issue 9: opened"),
            ("ticket.opened", {"ticketid": 3310, "priority": "High"}, "Ticket 3310: opened, priority High"),
            ("system.admin_login", {"adminid": 4, "username": "dana"}, "Admin dana: logged in"),
            ("bridge.spool_dropped", {"dropped": 40}, "Bridge dropped 40 events from a full spool"),
        ],
    )
    def test_a_title_says_what_happened_to_which_thing(self, event_type: str, attributes: dict[str, object], title: str) -> None:
        assert describe(event_type, attributes).title == title

    def test_values_from_outside_are_cut_and_kept_on_one_line(self) -> None:
        found = describe("network_issue.opened", {"id": 9, "title": "Rack\r\n 4\x00\u202e {id} %s " + "x" * 500})
        assert found.title.startswith("Network issue 9 opened: Rack 4 {id} %s xxx")
        assert found.title.endswith("x…")
        assert len(found.title) == len("Network issue 9 opened: ") + 60

    def test_an_attribute_cannot_pose_as_the_host_or_the_subject(self) -> None:
        found = Catalogue.default().describe("ticket.opened", {"ticketid": 3310, "subject": "hello", "host": "evil", "id": 1})
        assert (found.subject, found.title) == ("ticket:3310", "Ticket 3310: opened")


@pytest.mark.claim("E6")
class TestRecovery:
    @pytest.mark.parametrize(
        ("event_type", "attributes", "recovered"),
        [
            ("service.provisioned", {"serviceid": 77}, "service.provision_failed"),
            ("service.suspended", {"serviceid": 77}, "service.suspend_failed"),
            ("service.unsuspended", {"serviceid": 77}, "service.unsuspend_failed"),
            ("service.terminated", {"serviceid": 77}, "service.terminate_failed"),
            ("service.terminated", {"serviceid": 77, "relid": 77}, "service.cancellation_requested"),
            ("service.package_changed", {"serviceid": 77}, "service.package_change_failed"),
            ("service.password_changed", {"serviceid": 77}, "service.password_change_failed"),
            ("service.custom_command_done", {"serviceid": 77}, "service.custom_command_failed"),
            ("addon_feature.provisioned", {"serviceid": 77}, "addon_feature.provision_failed"),
            ("addon_feature.deprovisioned", {"serviceid": 77}, "addon_feature.deprovision_failed"),
            ("addon_feature.suspended", {"serviceid": 77}, "addon_feature.suspend_failed"),
            ("addon_feature.unsuspended", {"serviceid": 77}, "addon_feature.unsuspend_failed"),
            ("domain.registered", {"domainid": 12}, "domain.registration_failed"),
            ("domain.renewed", {"domainid": 12}, "domain.renewal_failed"),
            ("domain.transfer_completed", {"domainid": 12}, "domain.transfer_failed"),
            ("domain.transfer_submitted", {"domainid": 12, "functionSuccessful": True}, "domain.transfer_submit_failed"),
            ("domain.dns_changed", {"domainid": 12, "functionSuccessful": True}, "domain.dns_changed"),
            ("invoice.paid", {"invoiceid": 1042}, "invoice.payment_failed"),
            ("invoice.payment_applied", {"invoiceid": 1042}, "invoice.payment_failed"),
            ("invoice.cancelled", {"invoiceid": 1042}, "invoice.unpaid"),
            ("order.accepted", {"orderid": 1203}, "order.fraud"),
            ("ticket.closed", {"ticketid": 3310}, "ticket.opened"),
            ("ticket.staff_replied", {"ticketid": 3310}, "ticket.client_replied"),
            ("ticket.priority_changed", {"ticketid": 3310, "priority": "Low"}, "ticket.priority_changed"),
            ("system.mail_collection_completed", {"connectionErrors": 0}, "system.mail_collection_completed"),
        ],
    )
    def test_what_works_again_resolves_what_failed_on_the_same_thing(
        self, event_type: str, attributes: dict[str, object], recovered: str
    ) -> None:
        good, bad = describe(event_type, attributes), describe(recovered, attributes)
        assert recovered in good.recovers
        assert bad.problem == recovered
        assert good.recovery_subject == bad.subject

    def test_the_paid_order_resolves_the_refusal_of_its_invoice(self) -> None:
        paid = describe("order.paid", {"orderId": 1203, "userId": 118, "invoiceId": 1042})
        assert (paid.subject, paid.recovery_subject) == ("order:1203", "invoice:1042")
        assert "invoice.payment_failed" in paid.recovers

    def test_an_event_that_is_news_itself_can_still_end_older_problems(self) -> None:
        found = describe("service.terminated", {"serviceid": 77})
        assert (found.status, found.severity) == ("problem", 3)
        assert "service.suspend_failed" in found.recovers

    def test_a_part_payment_does_not_settle_an_overdue_invoice(self) -> None:
        assert "invoice.reminder_sent" not in describe("invoice.payment_applied", {"invoiceid": 1042}).recovers

    def test_a_successful_login_resolves_no_failed_ones(self) -> None:
        assert describe("system.admin_login", {"adminid": 4}).recovers == ()

    def test_a_reopened_network_issue_is_the_same_problem_as_the_opened_one(self) -> None:
        opened, reopened, closed = (describe(f"network_issue.{what}", {"id": 9}) for what in ("opened", "reopened", "resolved"))
        assert (opened.problem, opened.subject) == (reopened.problem, reopened.subject)
        assert (opened.status, reopened.status, closed.status) == ("problem", "problem", "recovery")
        assert opened.problem in closed.recovers

    def test_a_transfer_call_that_failed_is_the_same_problem_as_the_failure_that_its_own_hook_tells(self) -> None:
        call = describe("domain.transfer_submitted", {"domainid": 12, "functionSuccessful": False})
        own = describe("domain.transfer_submit_failed", {"domainid": 12})
        assert (call.type, call.problem, call.subject, call.status) == (own.type, own.problem, own.subject, "problem")
        assert call.recovers == ()


class TestWhatTheSenderSays:
    def test_severity_and_title_of_the_sender_win(self) -> None:
        found = describe("invoice.paid", {"invoiceid": 1042}, title="Paid at last").given(severity=5)
        assert (found.severity, found.title, found.status) == (5, "Paid at last", "recovery")
        assert "invoice.payment_failed" in found.recovers

    def test_a_recovery_of_any_type_ends_its_own_problem(self) -> None:
        assert describe("disk.full", None, None, "web1").given(status="recovery").recovers == ("disk.full",)

    def test_a_recovery_keeps_what_the_type_recovers_anyway(self) -> None:
        found = describe("service.provisioned", {"serviceid": 77}).given(status="recovery")
        assert found.recovers == ("service.provision_failed", "service.provisioned")

    def test_an_event_sent_for_information_ends_nothing(self) -> None:
        assert describe("invoice.paid", {"invoiceid": 1042}).given(status="info").recovers == ()

    def test_a_problem_does_not_end_itself(self) -> None:
        found = describe("domain.dns_changed", {"domainid": 12, "functionSuccessful": True}).given(status="problem")
        assert (found.status, found.recovers) == ("problem", ())

    def test_nothing_given_changes_nothing(self) -> None:
        found = describe("service.provisioned", {"serviceid": 77})
        assert found.given() == found
