"""The main job from end to end, with nothing replaced but the world around it: PHP, the real program, an ntfy server, a mail server."""

import re
import urllib.request
from typing import Any

import pytest

from tests.bridge.whmcs import Whmcs, fire
from tests.cli.program import Program, Serving, until
from tests.standins.ntfy import NtfyStandIn
from tests.standins.smtp import Mail, SmtpStandIn

SERVICE = {"serviceid": 77, "userid": 12, "serverid": 3, "moduletype": "cpanel", "password": "customers-secret"}
CREATION_FAILS = fire("AfterModuleCreateFailed", params=SERVICE, failureResponseMessage="account quota reached (250 of 250)")
CREATION_WORKS = fire("AfterModuleCreate", params=SERVICE)
Push = dict[str, Any]


@pytest.mark.claim(
    "K1", "K5", "K9", "K10", "E3", "A1", "A2", "A3", "A6", "A9", "N1", "N2", "N5", "S7", "L2", "L3", "C2", "C3", "C4", "origin:E1"
)
def test_a_failed_provisioning_reaches_the_phone_is_taken_and_ends(
    program: Program, whmcs: Whmcs, phone: NtfyStandIn, mailbox: SmtpStandIn
) -> None:
    with program.serving() as server:
        _install_the_bridge(whmcs, server, program.key("ingest"))
        reader = Reader(server, program.key("read"))

        # WHMCS fails three times in a row.
        for _ in range(3):
            whmcs.page(CREATION_FAILS)
            assert whmcs.flush().returncode == 0
        alert = reader.only_alert()
        assert (alert["type"], alert["subject"], alert["severity"]) == ("service.provision_failed", "service:77", 4)
        assert (alert["status"], alert["occurrences"]) == ("open", 3)

        # One push, one mail.
        until(lambda: len(phone.messages) == 1 and len(mailbox.mails) == 1)
        (push,), (mail,) = phone.messages, mailbox.mails
        assert push["priority"] == 4
        assert push["title"] == "Service 77: creation failed on server 3"
        assert "account quota reached (250 of 250)" in push["message"]
        assert (mail.recipients, mail.tls, mail.user) == (("oncall@example.com",), True, "robot")
        assert "Service 77: creation failed on server 3" in mail.message["Subject"]

        # A mail scanner opens everything that looks like a link.
        for link in _links(push, mail):
            assert _open(link).status == 200
        assert reader.only_alert() == alert

        # Somebody presses the button on the lock screen: a POST without cookies, keys or body.
        acknowledge = _button(push, "Acknowledge")
        assert _press(acknowledge) == "Acknowledged: Service 77: creation failed on server 3\n"
        assert _press(acknowledge) == "Acknowledged: Service 77: creation failed on server 3\n", "pressing it twice does no harm"
        alert = reader.only_alert()
        assert (alert["status"], alert["acknowledged_by"]) == ("acknowledged", "ntfy night-shift")
        until(lambda: len(phone.messages) == 2 and len(mailbox.mails) == 2)
        assert phone.messages[1]["title"] == "Acknowledged by ntfy night-shift: Service 77: creation failed on server 3"
        assert phone.messages[1]["sequence_id"] == push["sequence_id"], "it takes the place of the first"

        # It works again.
        whmcs.page(CREATION_WORKS)
        assert whmcs.flush().returncode == 0
        until(lambda: len(phone.messages) == 3 and len(mailbox.mails) == 3)
        assert phone.messages[2]["title"].startswith("Resolved after ")
        assert "actions" not in phone.messages[2]
        assert len({mail.message["References"] for mail in mailbox.mails}) == 1, "one thread"
        assert _press(acknowledge).startswith("Already resolved: ")

        alert = reader.only_alert()
        assert (alert["status"], alert["resolved_by"], alert["occurrences"]) == ("resolved", "tocsin", 3)
        until(lambda: len(reader.history(alert)) == 9)  # the last outcomes are written down a moment after they happened
        assert _told(reader.history(alert)) == [
            ("tocsin", "opened"),
            ("tocsin", "notified"),
            ("tocsin", "notified"),
            ("ntfy night-shift", "acknowledged"),
            ("tocsin", "notified"),
            ("tocsin", "notified"),
            ("tocsin", "resolved"),
            ("tocsin", "notified"),
            ("tocsin", "notified"),
        ]
        (source,) = reader.get("/sources")["items"]
        assert (source["received"], source["missing"], source["replayed"]) == (4, 0, 0)
        assert len(phone.messages) == 3
        assert len(mailbox.mails) == 3
        assert "customers-secret" not in server.log + repr(reader.get("/events")) + repr(phone.messages)
        assert server.stop() == 0


def _install_the_bridge(whmcs: Whmcs, server: Serving, key: str) -> None:
    whmcs.install_addon(server_url=server.url, api_key=key)


class Reader:
    """Somebody who looks through the API."""

    def __init__(self, server: Serving, key: str) -> None:
        self._server, self._headers = server, {"Authorization": f"Bearer {key}"}

    def get(self, path: str) -> dict[str, Any]:
        return self._server.get(path, self._headers)

    def only_alert(self) -> dict[str, Any]:
        (alert,) = self.get("/alerts")["items"]
        found: dict[str, Any] = alert
        return found

    def history(self, alert: dict[str, Any]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.get(f"/alerts/{alert['id']}")["history"]
        return found


def _told(history: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Who did what. Push and mail leave side by side, so their two lines may stand in either order: they read alike."""
    assert all(line["reason"] and line["at"] for line in history)
    return [(line["actor"], line["action"]) for line in history]


def _links(push: Push, mail: Mail) -> set[str]:
    in_push = {push["click"], *(action["url"] for action in push["actions"])}
    in_mail = set(re.findall(r"http://[^\s\"<>]+/a/[\w=-]+", mail.text + mail.html))
    assert len(in_push) == 3
    assert len(in_mail) == 3
    return in_push | in_mail


def _button(push: Push, label: str) -> str:
    (action,) = [action for action in push["actions"] if action["label"] == label]
    assert (action["action"], action["method"]) == ("http", "POST")
    return str(action["url"])


def _open(link: str) -> Any:
    return urllib.request.urlopen(link, timeout=20)


def _press(link: str) -> str:
    with urllib.request.urlopen(urllib.request.Request(link, data=b"", method="POST"), timeout=20) as answer:
        return str(answer.read().decode())
