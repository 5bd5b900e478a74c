"""The add-on in the WHMCS admin area: activation, settings, connection test, queue view."""

import io
import json
import re
from html.parser import HTMLParser
from zipfile import ZipFile

import pytest

from tests.bridge.server import KEY, TocsinStandIn, problem
from tests.bridge.whmcs import Step, Whmcs, fire, invoices
from tocsin.web import bridge

pytestmark = pytest.mark.claim("E1")

ADDON = {"load": "modules/addons/tocsin/tocsin.php"}
ACTIVATE = {"call": "tocsin_activate"}
PAGE = {"page": True}


@pytest.fixture
def admin(whmcs: Whmcs) -> Whmcs:
    whmcs.install_addon()
    whmcs.page(ADDON, ACTIVATE)
    return whmcs


def saved(tocsin: TocsinStandIn, **changes: object) -> Step:
    form = {"tocsin_action": "save", "server_url": tocsin.url, "api_key": KEY, "log_patterns": "odd = /odd/i", **changes}
    return {"post": form}


class Balance(HTMLParser):
    """Notes elements that are opened and never closed, and the other way round."""

    def __init__(self) -> None:
        super().__init__()
        self.stack: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag not in ("input", "br"):
            self.stack.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop() == tag


def test_a_downloaded_add_on_brings_its_address_and_key_along_once(whmcs: Whmcs) -> None:
    with ZipFile(io.BytesIO(bridge.archive(bridge.find(), "https://tocsin.example", "a key"))) as file:
        file.extractall(whmcs.root)
    whmcs.load = "modules/addons/tocsin/hooks.php"
    [answer] = whmcs.page(ADDON, ACTIVATE)["called"]
    assert answer["status"] == "success"
    assert "came with the download" in answer["description"]
    kept = json.loads((whmcs.folder / "config.json").read_text())
    assert (kept["server_url"], kept["api_key"]) == ("https://tocsin.example", "a key")
    assert not (whmcs.root / "modules/addons/tocsin/brought.php").exists()
    assert "brought.php" not in answer["description"]


def test_what_a_download_brought_is_taken_once_even_if_the_file_stays(whmcs: Whmcs, tocsin: TocsinStandIn) -> None:
    whmcs.install_addon()
    brought = whmcs.root / "modules/addons/tocsin/brought.php"
    brought.write_text("<?php return ['server_url' => 'https://first.example', 'api_key' => 'first'];\n")
    (whmcs.root / "stubborn.php").write_text("<?php namespace Tocsin\\Bridge; function unlink($path) { return false; }\n")
    stubborn = {"load": "stubborn.php"}

    def activate() -> tuple[str, dict[str, str]]:
        [answer] = whmcs.page(stubborn, ADDON, ACTIVATE)["called"]
        return answer["description"], json.loads((whmcs.folder / "config.json").read_text())

    told, kept = activate()
    assert told.startswith("Server address and API key came with the download. Now open Addons > Tocsin and test the connection. The file ")
    assert told.endswith("brought.php holds a key, and the web server may not delete it. It is not needed any more: delete it yourself.")
    page = whmcs.page(stubborn, ADDON, saved(tocsin), PAGE)["page"]
    assert "brought.php holds a key, and the web server may not delete it." in page
    told, kept = activate()
    assert told.startswith("Now open Addons > Tocsin and test the connection. The file ")
    assert (kept["server_url"], kept["api_key"]) == (tocsin.url, KEY), "what was chosen later stays"
    brought.write_text("<?php return ['server_url' => 'https://second.example', 'api_key' => 'second'];\n")
    assert "holds an address and a key that are not used yet" in whmcs.page(stubborn, ADDON, PAGE)["page"]
    told, kept = activate()
    assert (kept["server_url"], kept["api_key"]) == ("https://second.example", "second"), "another download brings another key"
    brought.write_text("<?php return ['server_url' => 'https://thi")
    told, kept = activate()
    assert kept["api_key"] == "second", "half a file brings nothing"


def test_whmcs_learns_the_add_ons_name_and_version(admin: Whmcs) -> None:
    [config] = admin.page(ADDON, {"call": "tocsin_config"})["called"]
    assert config["name"] == "Tocsin"
    assert config["fields"] == []


@pytest.mark.claim("A22")
def test_activation_makes_a_private_folder_outside_the_web_root(admin: Whmcs) -> None:
    assert admin.folder.stat().st_mode & 0o777 == 0o700
    assert admin.folder.parent == admin.root.parent


def test_a_moved_attachments_folder_shows_where_private_files_belong(whmcs: Whmcs) -> None:
    private = whmcs.root.parent / "private"
    (private / "attachments").mkdir(parents=True)
    (whmcs.root / "configuration.php").write_text(f"<?php\n$attachments_dir = '{private}/attachments';\n")
    whmcs.install_addon()
    whmcs.page(ADDON, ACTIVATE)
    assert (private / whmcs.folder.name / "config.json").exists()


def test_attachments_inside_whmcs_show_nothing_and_are_passed_over(whmcs: Whmcs) -> None:
    (whmcs.root / "attachments").mkdir()
    (whmcs.root / "configuration.php").write_text(f"<?php\n$attachments_dir = '{whmcs.root}/attachments';\n")
    whmcs.install_addon()
    whmcs.page(ADDON, ACTIVATE)
    assert (whmcs.folder / "config.json").exists()


@pytest.mark.claim("A22")
def test_a_spool_inside_the_web_root_is_warned_of(admin: Whmcs) -> None:
    page = admin.page(ADDON, {"server": {"DOCUMENT_ROOT": str(admin.root.parent)}}, PAGE)["page"]
    assert "The spool lies inside the web root" in page


def test_saved_settings_are_what_hooks_and_flush_use(admin: Whmcs, tocsin: TocsinStandIn) -> None:
    page = admin.page(ADDON, saved(tocsin, personal=["names"]), PAGE)["page"]
    assert "Saved." in page
    admin.page({"documented": "UserAdd"}, {"log": "An odd line"})
    assert admin.flush().returncode == 0
    user, line = tocsin.events()
    assert user["attributes"]["firstname"] == "PERSONALMARK-firstname"
    assert line["attributes"]["pattern"] == "odd"


def test_the_key_is_never_shown_and_an_empty_field_keeps_it(admin: Whmcs, tocsin: TocsinStandIn) -> None:
    pages = [
        admin.page(ADDON, saved(tocsin), PAGE)["page"],
        admin.page(ADDON, saved(tocsin, api_key="", flush_seconds="60"), PAGE)["page"],
    ]
    assert all(KEY not in page for page in pages)
    config = json.loads((admin.folder / "config.json").read_text())
    assert (config["api_key"], config["flush_seconds"]) == (KEY, 60)


def test_the_key_is_encrypted_in_the_database_and_restores_a_lost_file(admin: Whmcs, tocsin: TocsinStandIn) -> None:
    admin.page(ADDON, saved(tocsin), PAGE)
    assert KEY not in (admin.root / "database.json").read_text()
    (admin.folder / "config.json").unlink()
    admin.page(*invoices(1))
    assert admin.page(*invoices(2))["queries"] == 0
    admin.flush()
    assert tocsin.numbers() == [1, 2]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"server_url": "tocsin.example.com"}, "must look like https://tocsin.example.com"),
        ({"server_url": "https://x.test/?key=1"}, "must look like https://tocsin.example.com"),
        ({"api_key": "two words"}, "The API key is missing"),
        ({"folder": "spool"}, "must be a full path"),
        ({"folder": "/proc/spool"}, "cannot be used"),
        ({"ca_file": "/nowhere/ca.pem"}, "certificate authorities cannot be read"),
    ],
)
def test_wrong_values_are_refused_with_a_reason_and_change_nothing(
    admin: Whmcs, tocsin: TocsinStandIn, change: dict[str, str], sentence: str
) -> None:
    before = (admin.folder / "config.json").read_text()
    page = admin.page(ADDON, saved(tocsin, **change), PAGE)["page"]
    assert sentence in page
    assert "Saved." not in page
    assert (admin.folder / "config.json").read_text() == before


def test_broken_patterns_are_named_on_the_page(admin: Whmcs, tocsin: TocsinStandIn) -> None:
    page = admin.page(ADDON, saved(tocsin, log_patterns="good = /x/\nbad = /(/\nworse\ngood = /y/"), PAGE)["page"]
    assert "Line 2 is ignored: /(/ is no valid regular expression." in page
    assert "Line 3 is ignored: it is not of the form" in page
    assert "Line 4 is ignored: the name good is already used." in page


def test_the_connection_test_proves_address_key_and_signature(admin: Whmcs, tocsin: TocsinStandIn) -> None:
    admin.page(ADDON, saved(tocsin), PAGE)
    page = admin.page(ADDON, {"post": {"tocsin_action": "test"}}, PAGE)["page"]
    assert "It works: the server took a test event in" in page
    [event] = tocsin.events()
    assert (event["type"], event["status"], event["severity"]) == ("bridge.connection_test", "info", 1)


def test_the_connection_test_says_what_is_wrong(admin: Whmcs, tocsin: TocsinStandIn) -> None:
    admin.page(ADDON, saved(tocsin), PAGE)
    tocsin.answers.append(problem(401))
    page = admin.page(ADDON, {"post": {"tocsin_action": "test"}}, PAGE)["page"]
    assert "The server refused the API key (401)" in page


def test_the_queue_view_shows_what_waits_and_what_was_refused(admin: Whmcs, tocsin: TocsinStandIn) -> None:
    admin.page(ADDON, saved(tocsin), PAGE)
    admin.page(*invoices(1, 2, 3))
    assert "3 events" in admin.page(ADDON, PAGE)["page"]
    tocsin.answers.extend([problem(422, "<script>alert(1)</script>")] * 3)
    page = admin.page(ADDON, {"post": {"tocsin_action": "send"}}, PAGE)["page"]
    assert "0 events" in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<script" not in page


def test_a_new_key_ends_the_pause_after_a_refused_one(admin: Whmcs, tocsin: TocsinStandIn) -> None:
    admin.page(ADDON, saved(tocsin), PAGE)
    admin.page(*invoices(1))
    tocsin.answers.append(problem(401))
    admin.flush()
    admin.page(fire("AfterCronJob"))
    assert tocsin.posts == 1
    admin.page(ADDON, saved(tocsin), PAGE)
    admin.page(fire("AfterCronJob"))
    assert tocsin.numbers() == [1]


@pytest.mark.claim("S2")
def test_a_form_without_whmcs_token_changes_nothing(admin: Whmcs, tocsin: TocsinStandIn) -> None:
    form = saved(tocsin)["post"] | {"token": "forged"}
    page = admin.start(ADDON, {"post": form}, {"call": "forget_token"}, PAGE)
    _, errors = page.communicate()
    assert b"Invalid token" in errors
    assert "server_url" not in (admin.folder / "config.json").read_text()


def test_every_form_carries_the_token_and_the_html_is_whole(admin: Whmcs, tocsin: TocsinStandIn) -> None:
    admin.page(ADDON, saved(tocsin, server_url='http://"><b>.test'), PAGE)
    page = admin.page(ADDON, saved(tocsin), PAGE)["page"]
    assert page.count("<form") == page.count('name="token" value="standin-token"') == 3
    parser = Balance()
    parser.feed(page)
    assert parser.stack == []
    labels = set(re.findall(r'for="([^"]+)"', page))
    assert labels == set(re.findall(r'id="([^"]+)"', page))


def test_a_locked_or_unusable_folder_is_said_on_the_page(admin: Whmcs, tocsin: TocsinStandIn) -> None:
    admin.page(ADDON, saved(tocsin), PAGE)
    config = admin.folder / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "folder": "/proc/spool"}))
    assert "The folder /proc/spool cannot be used" in admin.page(ADDON, PAGE)["page"]


def test_deactivation_keeps_the_unsent_events_and_says_where(admin: Whmcs) -> None:
    [answer] = admin.page(ADDON, {"call": "tocsin_deactivate"})["called"]
    assert str(admin.folder) in answer["description"]


def test_an_upgrade_keeps_the_settings(admin: Whmcs, tocsin: TocsinStandIn) -> None:
    admin.page(ADDON, saved(tocsin), PAGE)
    admin.page(ADDON, {"call": "tocsin_upgrade", "args": [{"version": "0.0.1"}]})
    assert json.loads((admin.folder / "config.json").read_text())["api_key"] == KEY
