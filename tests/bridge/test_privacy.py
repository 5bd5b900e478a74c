"""What leaves WHMCS and what never does. The payloads hold marked secrets and personal data wherever the real ones do."""

import json
from collections.abc import Callable

import pytest
from hypothesis import given, settings, strategies as st

from tests.bridge.server import KEY, Event, TocsinStandIn
from tests.bridge.whmcs import Step, Whmcs, fire, hooks
from tocsin.core.clock import monotonic

pytestmark = pytest.mark.claim("E5")

Leaked = Callable[..., str]
AttributesOf = Callable[..., list[Event]]

ALL_GROUPS = ["names", "contact", "texts", "addresses"]
CARD = "4111111111111111"


@pytest.fixture
def leaked(whmcs: Whmcs, tocsin: TocsinStandIn) -> Leaked:
    """Fires every hook, sends all, and gives everything that was on disk or on the wire."""

    def everything(variant: str = "install_addon", **options: object) -> str:
        getattr(whmcs, variant)(**tocsin.settings, **options)
        whmcs.page({"server": {"REMOTE_ADDR": "198.51.100.9"}}, {"documented": "*"})
        on_disk = "".join(path.read_text() for path in whmcs.folder.iterdir() if path.name != "config.json")
        assert whmcs.flush().returncode == 0
        assert len(tocsin.events()) >= 141
        return on_disk + b"".join(tocsin.bodies).decode()

    return everything


@pytest.mark.parametrize("variant", ["install_addon", "install_single_file"])
def test_no_secret_and_no_personal_data_leaves_by_default(leaked: Leaked, variant: str) -> None:
    text = leaked(variant)
    assert "SECRETMARK" not in text
    assert "PERSONALMARK" not in text
    assert CARD not in text.replace(" ", "")
    assert "198.51.100.9" not in text


def test_secrets_stay_even_when_all_personal_data_is_opted_in(leaked: Leaked) -> None:
    text = leaked(personal=ALL_GROUPS)
    assert "PERSONALMARK" in text
    assert "198.51.100.9" in text
    assert "SECRETMARK" not in text
    assert CARD not in text.replace(" ", "")


@pytest.mark.parametrize(
    ("group", "attribute"),
    [("names", "firstname"), ("contact", "email"), ("texts", "notes"), ("addresses", "ipaddress")],
)
def test_each_group_of_personal_data_is_opted_in_by_itself(whmcs: Whmcs, group: str, attribute: str) -> None:
    whmcs.install_addon(server_url="http://127.0.0.1:1", api_key=KEY, personal=[group])
    whmcs.page({"server": {"REMOTE_ADDR": "198.51.100.9"}}, {"documented": "ClientAdd"}, {"documented": "AdminLogin"})
    attributes = {name for event in whmcs.spooled() for name in event["attributes"]}
    opted_in = {"firstname", "email", "notes", "ipaddress"} & attributes
    assert opted_in == {attribute}


def test_the_contract_forwards_no_secret_and_personal_data_only_on_opt_in() -> None:
    containers_with_plain_ids = {"params", "data", "user", "olddata", "description"}
    for hook in hooks("event").values():
        by_default = {rule.split(" ")[1].split(".")[0] for rule in hook["forward"].values()}
        opted_in = {rule.split()[-1] for fields in hook.get("on_opt_in", {}).values() for rule in fields.values()}
        secret = set(hook.get("secret_params", [])) - containers_with_plain_ids
        personal = set(hook.get("personal_params", [])) - containers_with_plain_ids
        assert not by_default & (secret | personal), hook["name"]
        assert not opted_in & secret, hook["name"]


def test_module_parameters_give_only_the_plain_ids(offline: Whmcs) -> None:
    offline.page({"documented": "AfterModuleSuspend"}, {"documented": "AfterRegistrarGetEPPCode"})
    module, registrar = (event["attributes"].keys() for event in offline.spooled())
    assert module == {"hook", "serviceid", "userid", "serverid", "moduletype"}
    assert registrar == {"hook", "domainid", "userid", "registrar", "domain", "functionExists", "functionSuccessful"}


def test_a_card_update_tells_only_whose(offline: Whmcs) -> None:
    offline.page({"documented": "CCUpdate"})
    [event] = offline.spooled()
    assert event["attributes"] == {"hook": "CCUpdate", "userid": 1006}


def test_an_edit_tells_which_fields_changed_and_not_to_what(offline: Whmcs) -> None:
    before = {"email": "a@example.test", "city": "Ulm", "password": "x", "secretnote": "y"}
    after = {"userid": 9, "email": "b@example.test", "city": "Ulm", "password": "z", "secretnote": "w", "olddata": before}
    offline.page(fire("ClientEdit", **after))
    [event] = offline.spooled()
    assert event["attributes"] == {"hook": "ClientEdit", "userid": 9, "changed": ["email"]}


@pytest.mark.parametrize("value", ["hunter2", "12 34", "77;x", [77], {"id": 77}, 7.5, True, None, ""])
def test_a_field_that_should_be_a_number_forwards_nothing_else(offline: Whmcs, value: object) -> None:
    offline.page(fire("InvoicePaid", invoiceid=value))
    [event] = offline.spooled()
    assert "invoiceid" not in event["attributes"]


@pytest.mark.claim("E7")
def test_a_failed_gateway_callback_tells_gateway_result_and_invoice_only(offline: Whmcs) -> None:
    offline.page({"documented": "LogTransaction"})
    [event] = offline.spooled()
    attributes = event["attributes"]
    assert attributes.keys() == {"hook", "gateway", "result", "invoiceid"}
    assert attributes["invoiceid"] == 5521
    assert attributes["result"] == "Declined: card [removed] token=[removed]"


@pytest.mark.parametrize(
    ("data", "invoice"),
    [
        ("[invoice_id] => 12", 12),
        ('{"invoiceId":"34","card":"4111111111111111"}', 34),
        ("invoice=56&cvv=123", 56),
        ("invoice: 78", 78),
        ("invoiceid = SECRET99", None),
        ("invoiceid=12345678901", None),
        ("invoiceid=12-34", None),
        ("myinvoiceid=12", None),
        ("invoice_number=12", None),
        ("invoiceid=4111111111111111", None),
    ],
)
def test_only_a_plain_invoice_number_comes_out_of_raw_gateway_data(offline: Whmcs, data: str, invoice: int | None) -> None:
    offline.page(fire("LogTransaction", gateway="stripe", data=data, result="Declined"))
    [event] = offline.spooled()
    assert event["attributes"].get("invoiceid") == invoice


def test_an_error_message_keeps_its_sense_and_loses_its_secrets(offline: Whmcs) -> None:
    failure = {"params": {"serviceid": 77, "serverpassword": "Tr0ub4dor"}, "failureResponseMessage": ""}
    failure["failureResponseMessage"] = "Connection to 192.0.2.1:2087 timed out; used Tr0ub4dor, key=abc, mail ann@example.test"
    offline.page(fire("AfterModuleCreateFailed", **failure))
    [event] = offline.spooled()
    assert event["message"] == "Connection to 192.0.2.1:2087 timed out; used [removed], key=[removed] mail [email]"


SECRET = "Zq7xK9vW2m"


@pytest.mark.parametrize(
    "text",
    [
        f"password={SECRET}",
        f"Password: '{SECRET} and more'",
        f'"token" : "{SECRET}"',
        f"[api_key] => {SECRET}",
        f"apiKey={SECRET}&next=1",
        f"the password '{SECRET}' is wrong",
        f"the password was '{SECRET}'",
        f"Authorization: Bearer {SECRET}",
        f"basic {SECRET}",
        f"ftp://user:{SECRET}@host.test/",
        f"https://host.test/x?y={SECRET}",
        f"<ns:Password>{SECRET}</ns:Password>",
        f"access_hash: {SECRET}",
        f"-----BEGIN RSA PRIVATE KEY-----\n{SECRET}\n-----END RSA PRIVATE KEY-----",
        f"session_id={SECRET}",
        f"epp code: {SECRET}",
        f"CVV2={SECRET}",
        f"opaque {SECRET * 4} end",
    ],
)
def test_what_looks_like_a_secret_is_removed_from_error_messages(offline: Whmcs, text: str) -> None:
    offline.page(fire("AfterModuleCreateFailed", params={"serviceid": 1}, failureResponseMessage=f"Sorry. {text}"))
    [event] = offline.spooled()
    assert SECRET not in event["message"]
    assert event["message"].startswith("Sorry.")


def test_long_texts_are_cut_on_a_character(offline: Whmcs) -> None:
    offline.page(fire("AfterModuleCreateFailed", params={"serviceid": 1}, failureResponseMessage="ü!" * 1000))
    [event] = offline.spooled()
    assert event["message"] == "ü!" * 250


@settings(max_examples=6, deadline=None)
@given(st.dictionaries(st.sampled_from(["invoiceid", "invoice", "data"]), st.recursive(st.text() | st.none(), st.lists)))
def test_whatever_a_hook_is_given_no_page_breaks(tmp_path_factory: pytest.TempPathFactory, variables: dict[str, object]) -> None:
    whmcs = Whmcs(tmp_path_factory.mktemp("shop")).install_addon(server_url="http://127.0.0.1:1", api_key=KEY)
    whmcs.page(fire("InvoicePaid", **variables), fire("LogTransaction", **variables), fire("ClientEdit", **variables))
    assert len(whmcs.spooled()) == 3


class TestActivityLog:
    """The activity log is a firehose: only lines that match a pattern become events."""

    @pytest.fixture
    def attributes_of(self, whmcs: Whmcs) -> AttributesOf:
        def spooled_after(*steps: Step, **options: object) -> list[Event]:
            whmcs.install_addon(server_url="http://127.0.0.1:1", api_key=KEY, **options)
            whmcs.page(*steps)
            return [event["attributes"] for event in whmcs.spooled()]

        return spooled_after

    @pytest.mark.claim("E7")
    @pytest.mark.parametrize(
        ("line", "name"),
        [
            ("Failed Admin Login Attempt - Username: root", "admin_login_failed"),
            ("Admin login failed for dana", "admin_login_failed"),
            ("Failed Login Attempt - User ID: 5", "client_login_failed"),
            ("Two-Factor Authentication failed for user 5", "two_factor_failed"),
            ("Cron Job: error while importing mail", "cron_error"),
            ("Module Create Failed - Service ID: 77", "module_error"),
            ("Credit Card Payment Capture Attempt Failed", "payment_failed"),
            ("Email Sending Failed - SMTP connect() failed", "mail_failed"),
            ("SQLSTATE[HY000]: General error: server has gone away", "database_error"),
        ],
    )
    def test_the_default_patterns_name_what_has_no_hook(self, attributes_of: AttributesOf, line: str, name: str) -> None:
        assert attributes_of({"log": line}) == [{"hook": "LogActivity", "pattern": name, "userid": 118}]

    def test_other_lines_and_hook_debugging_stay(self, attributes_of: AttributesOf) -> None:
        quiet = {"log": "Invoice 12 viewed"}, {"log": "Hooks Debug: admin login failed"}
        assert attributes_of(*quiet) == []

    def test_the_line_itself_leaves_only_on_opt_in_and_without_secrets(self, attributes_of: AttributesOf) -> None:
        line = {"log": "Failed Admin Login password=hunter2 from ann@example.test"}
        [attributes] = attributes_of(line, personal=["texts"])
        assert attributes["description"] == "Failed Admin Login password=[removed] from [email]"

    def test_own_patterns_replace_the_defaults_and_broken_ones_are_ignored(self, attributes_of: AttributesOf) -> None:
        patterns = "disk = /disk full/i\nbroken = /(/\nBAD NAME = /x/\nevil = #x#e\n"
        lines = {"log": "Disk full!"}, {"log": "Failed Admin Login"}
        assert [found["pattern"] for found in attributes_of(*lines, log_patterns=patterns)] == ["disk"]

    def test_a_pattern_that_explodes_costs_no_page(self, attributes_of: AttributesOf) -> None:
        started = monotonic()
        assert attributes_of({"log": "a" * 1000 + "!"}, log_patterns="bomb = /^(a+)+$/") == []
        assert monotonic() - started < 10

    def test_the_bridge_never_logs_inside_the_hook(self, offline: Whmcs) -> None:
        page = offline.page({"log": "Failed Admin Login"}, {"log": "Module Create Failed"})
        assert page["returned"] == []
        assert len(offline.spooled()) == 2


@pytest.mark.claim("S8")
def test_files_are_private(offline: Whmcs) -> None:
    offline.page(fire("InvoicePaid", invoiceid=1), fire("UserLogout"))
    assert offline.folder.stat().st_mode & 0o777 == 0o700
    made_by_the_bridge = [path for path in offline.folder.iterdir() if path.name not in ("config.json", ".htaccess")]
    assert len(made_by_the_bridge) >= 3
    assert {oct(path.stat().st_mode & 0o777) for path in made_by_the_bridge} == {"0o600"}


def test_no_hook_queries_the_database(offline: Whmcs) -> None:
    assert offline.page({"documented": "*"})["queries"] == 0


def test_the_api_key_is_not_in_the_spool(offline: Whmcs) -> None:
    offline.page({"documented": "*"})
    assert KEY not in json.dumps(offline.spooled())
