"""Which hooks the bridge registers, and what an event looks like. Held against contracts/whmcs-hooks.json."""

import json
import subprocess
import time

import pytest

import tocsin
from tests.bridge.server import KEY
from tests.bridge.whmcs import CONTRACT, PHP, REPOSITORY, Step, Whmcs, contract, fire, hooks

pytestmark = pytest.mark.claim("E2")


@pytest.mark.parametrize("variant", ["install_addon", "install_single_file"])
@pytest.mark.claim("E1", "E2")
def test_both_variants_register_every_event_and_metric_hook_late_and_no_noise(whmcs: Whmcs, variant: str) -> None:
    getattr(whmcs, variant)()
    registered = whmcs.page()["registered"]
    assert registered == {name: [1000] for name in hooks("event") | hooks("metric")}
    assert not registered.keys() & set(contract()["noise"])


def test_the_contract_holds_every_documented_hook() -> None:
    assert (len(hooks("event")), len(hooks("metric")), len(contract()["noise"])) == (141, 21, 177)


def test_installing_both_variants_registers_each_hook_once(whmcs: Whmcs) -> None:
    whmcs.install_single_file()
    single = whmcs.load
    whmcs.install_addon()
    addon = whmcs.load
    assert set(map(tuple, whmcs.page({"load": single})["registered"].values())) == {(1000,)}
    whmcs.load = single
    assert set(map(tuple, whmcs.page({"load": addon})["registered"].values())) == {(1000,)}


@pytest.mark.claim("E1", "origin:A6", "origin:A7", "origin:A8", "origin:A9", "origin:A10")
def test_every_event_hook_gives_one_event_and_returns_nothing(offline: Whmcs) -> None:
    page = offline.page({"documented": "*"})
    assert all(returned == [[None]] for returned in page["returned"].values())
    assert page["returned"].keys() == (hooks("event") | hooks("metric")).keys()
    events = {event["attributes"]["hook"]: event for event in offline.spooled()}
    assert {name: event["type"] for name, event in events.items()} == {name: hook["event_type"] for name, hook in hooks("event").items()}
    assert len(offline.spooled()) == 141


def test_every_documented_subject_arrives_as_an_attribute(offline: Whmcs) -> None:
    offline.page({"documented": "*"})
    for event in offline.spooled():
        hook = hooks("event")[event["attributes"]["hook"]]
        assert event["attributes"].keys() <= {"hook"} | hook["forward"].keys()
        assert "incomplete" not in event["attributes"], event


def test_an_event_carries_the_fields_of_the_intake_and_decides_nothing(offline: Whmcs) -> None:
    offline.page({"documented": "AfterModuleCreateFailed"})
    [event] = offline.spooled()
    assert event["type"] == "service.provision_failed"
    assert event.keys() == {"id", "type", "occurred_at", "attributes", "message", "source", "sequence"}
    assert event["sequence"] == 1
    assert event["attributes"] == {
        "hook": "AfterModuleCreateFailed",
        "serviceid": 77,
        "userid": 118,
        "serverid": 3,
        "moduletype": "cpanel",
    }


def test_nested_misspelt_and_typed_parameters_arrive_clean(offline: Whmcs) -> None:
    offline.page({"documented": "AddTransaction"}, {"documented": "UserLogin"}, {"documented": "AfterRegistrarRenewal"})
    transaction, login, renewal = (event["attributes"] for event in offline.spooled())
    assert transaction["invoiceid"] == 1009
    assert "invocieid" not in transaction
    assert transaction["amountin"] == 24.5
    assert transaction["date"] == "2026-03-14T09:22:15.250Z"
    assert login == {"hook": "UserLogin", "user_id": 4711}
    assert renewal["domain"] == "example.com"
    assert renewal["domainid"] == 55


def test_hooks_that_pass_single_values_are_understood(offline: Whmcs) -> None:
    offline.page(fire("InvoiceUnpaid", 5530), fire("UserLogin", "@model"))
    assert [event["attributes"] for event in offline.spooled()] == [
        {"hook": "InvoiceUnpaid", "invoiceid": 5530},
        {"hook": "UserLogin", "user_id": 4711},
    ]


def test_a_firing_without_its_subject_is_sent_and_marked_incomplete(offline: Whmcs) -> None:
    offline.page(fire("InvoicePaid"), fire("AfterModuleSuspend", params="surprise"), fire("UserLogin", "@throwing"))
    assert [event["attributes"].get("incomplete") for event in offline.spooled()] == [True, True, True]


@pytest.mark.parametrize(
    "firing",
    [
        fire("PopEmailCollectionCronCompleted", connectionErrors=[]),
        fire("AfterRegistrarTransfer", params={"domainid": 5}, functionSuccessful=False),
        fire("LogActivity", description="Client logged in"),
    ],
    ids=lambda firing: firing["fire"],
)
def test_firings_that_the_contract_calls_no_news_are_skipped(offline: Whmcs, firing: Step) -> None:
    offline.page(firing)
    assert offline.spooled() == []


@pytest.mark.claim("origin:A12")
def test_metric_hooks_become_one_event_a_minute(offline: Whmcs) -> None:
    firings = [
        fire("EmailPreSend", messagename="Invoice Payment Confirmation", relid=1),
        fire("EmailPreSend", messagename="Credit Card Payment Failed", relid=2),
        fire("PreAutomationTask", "@model"),
        fire("PostAutomationTask", "@model", False),
        fire("AfterRegistrarRenew", functionSuccessful=True),
    ]
    for _ in range(3):
        offline.page(*firings)
    assert offline.spooled() == []
    rewind_minute(offline)
    offline.page(fire("UserLogout", "@model"))
    [event] = offline.spooled()
    assert (event["type"], event["status"], event["severity"]) == ("whmcs.metrics", "info", 1)
    counted = event["attributes"]
    assert counted["whmcs.mail.sending"]["count"] == 6
    assert counted["whmcs.mail.sending"]["by"]["Credit Card Payment Failed"] == 3
    assert counted["whmcs.cron.task_finished"]["failed"] == 3
    assert counted["whmcs.cron.task_finished"]["seconds_max"] >= 0
    assert counted["whmcs.registrar.renew"] == {"count": 3}
    assert counted["whmcs.user.logouts"] == {"count": 1}


@pytest.mark.claim("M4", "E5")
@pytest.mark.parametrize("variant", ["addon", "single file"])
def test_pages_of_clients_and_staff_are_timed_with_their_queries_and_nothing_else_is(whmcs: Whmcs, variant: str) -> None:
    install = whmcs.install_addon if variant == "addon" else whmcs.install_single_file
    install(server_url="http://127.0.0.1:1", api_key=KEY)
    began: Step = {"server": {"REQUEST_TIME_FLOAT": time.time() - 2}}
    whmcs.page({"query": 7.0})  # the cron
    assert not (whmcs.folder / "metrics.json").exists()
    whmcs.page(began, {"define": {"CLIENTAREA": True}}, {"query": 30.0}, {"query": ["select 1", [], 50]}, {"query": [None, None, None]})
    whmcs.page({"define": {"CLIENTAREA": True}}, fire("UserLogout", "@model"))
    rewind_minute(whmcs)
    whmcs.page({"define": {"ADMINAREA": True, "CLIENTAREA": False}}, {"query": -1})
    [event] = whmcs.spooled()
    counted = event["attributes"]
    assert set(counted) == {"whmcs.page.client", "whmcs.database.client", "whmcs.page.admin", "whmcs.database.admin", "whmcs.user.logouts"}
    assert counted["whmcs.database.client"] == {"count": 2, "seconds_sum": 0.08, "seconds_max": 0.05}
    assert counted["whmcs.page.client"]["count"] == 2
    assert 2 < counted["whmcs.page.client"]["seconds_max"] < 60
    assert counted["whmcs.page.client"]["seconds_sum"] > counted["whmcs.page.client"]["seconds_max"]
    assert counted["whmcs.database.admin"]["seconds_sum"] == 0
    assert "SECRETMARK" not in json.dumps(event)


def rewind_minute(offline: Whmcs) -> None:
    jar = offline.folder / "metrics.json"
    content = json.loads(jar.read_text())
    jar.write_text(json.dumps({**content, "sent_at": content["sent_at"] - 61}))


def test_nothing_is_recorded_before_the_bridge_is_set_up(whmcs: Whmcs) -> None:
    whmcs.install_addon()
    whmcs.page({"documented": "*"})
    assert not list(whmcs.root.parent.glob("tocsin-*/*.ndjson"))


@pytest.mark.claim("E1")
def test_the_generated_files_are_what_the_build_script_makes() -> None:
    built = subprocess.run([*PHP, REPOSITORY / "php/build.php", "--check"], capture_output=True, text=True, check=False)
    assert built.returncode == 0, f"run `php php/build.php`: {built.stdout}"


def test_the_bridge_tells_the_version_of_the_project() -> None:
    source = (REPOSITORY / "php/modules/addons/tocsin/lib/Bridge.php").read_text()
    assert f"const VERSION = '{tocsin.__version__}';" in source


def test_the_contract_is_one_hook_a_line_so_that_changes_can_be_read() -> None:
    lines = CONTRACT.read_text().splitlines()
    assert sum(line.startswith('{"name"') for line in lines) == 162
