"""`tocsin doctor`: each fault is named with its cure."""

import asyncio
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.cli.program import Handy, Result, free_port
from tests.escalation.crew import Crew, step, user
from tests.fakes import NOW
from tests.standins.whmcs import IDENTIFIER, SECRET, WhmcsStandIn
from tests.world import World
from tocsin.audit.model import Who
from tocsin.cli.doctor import probes
from tocsin.cli.doctor.model import Policies
from tocsin.core.clock import MINUTE
from tocsin.core.ids import new_id
from tocsin.events import sites
from tocsin.prometheus import service as exporters
from tocsin.prometheus.model import Target
from tocsin.whmcs import service as whmcs
from tocsin.whmcs.model import Connection


def _findings(result: Result, part: str) -> list[dict[str, Any]]:
    return [finding for finding in result.json["findings"] if finding["part"] == part]


def _fault(result: Result, part: str) -> str:
    (finding,) = [f for f in _findings(result, part) if f["verdict"] == "fault"]
    assert finding["cure"]
    assert result.code == 1
    return str(finding["text"])


@pytest.mark.claim("O4", "Q3", "Q6")
def test_a_sound_installation_has_no_fault_and_ends_with_zero(handy: Handy, locked_ntfy_url: str) -> None:
    handy.settings |= {"NTFY_SERVER_URL": locked_ntfy_url, "NTFY_TOKEN": "tk_right", "WHMCS_ENV": "staging"}
    with handy.serving():
        handy.key()
        asked = ("user", "add", "m@example.com", "--name", "M", "--role", "admin", "--password-stdin")
        assert handy.run(*asked, stdin="correct horse battery").code == 0
        checked = handy.run("doctor")
    assert checked.code == 0, checked
    assert "ok       server" in checked.out
    assert "ok       channel: ntfy whmcs-alerts can be written to" in checked.out
    assert "warning  contacts: push is the only way" in checked.out
    assert "NTFY_TOKEN = (set)" in checked.out
    assert "tk_right" not in checked.out


@pytest.mark.claim("O4", "Q6")
def test_each_fault_of_the_way_out_is_named_with_its_cure(handy: Handy, locked_ntfy_url: str) -> None:
    handy.settings |= {"NTFY_SERVER_URL": locked_ntfy_url, "NTFY_TOKEN": "tk_wrongwrong", "NOTIFICATION_EMAIL": "ops@example.com"}
    handy.settings["TOCSIN_SMTP_URL"] = f"smtp://robot:hush-hush@127.0.0.1:{free_port()}"
    assert handy.run("db", "upgrade").code == 0
    checked = handy.run("doctor", "--json")
    push, mail = (finding["text"] for finding in _findings(checked, "channel"))
    assert "NTFY_TOKEN" in push
    assert "refused the connection" in mail
    assert "none runs" in _fault(checked, "server")
    assert "hush-hush" not in checked.out
    assert "tk_wrongwrong" not in checked.out

    handy.settings["NTFY_SERVER_URL"] = f"http://127.0.0.1:{free_port()}"
    del handy.settings["TOCSIN_SMTP_URL"]
    down = handy.run("doctor", "--json")
    assert "cannot be reached" in _findings(down, "channel")[0]["text"]
    assert "no mail server" in _fault(down, "contacts")


def test_an_empty_folder_has_its_faults_named_and_nothing_is_made(handy: Handy) -> None:
    checked = handy.run("doctor", "--json")
    assert "does not exist" in _fault(checked, "data folder")
    assert "there is none yet" in _fault(checked, "database")
    assert "nobody is told" in _fault(checked, "contacts")
    assert not handy.folder.exists()


@pytest.mark.parametrize(
    ("what", "part", "words"),
    [
        ("a file as data folder", "data folder", "is no folder"),
        ("an open data folder", "data folder", "others may look into"),
        ("a damaged database", "database", "damaged"),
        ("a setting that is wrong", "settings", "TOCSIN_LISTEN is 'here', but must be ADDRESS:PORT"),
    ],
)
def test_a_fault_of_the_machine_is_named_with_its_cure(handy: Handy, what: str, part: str, words: str) -> None:
    handy.folder.mkdir(mode=0o700)
    match what:
        case "a file as data folder":
            shutil.rmtree(handy.folder)
            handy.folder.touch()
        case "an open data folder":
            handy.folder.chmod(0o755)
        case "a damaged database":
            Path(handy.folder / "tocsin.db").write_bytes(b"this is no database" * 1000)
        case _:
            handy.settings["TOCSIN_LISTEN"] = "here"
    assert words in _fault(handy.run("doctor", "--json"), part)


async def test_a_policy_that_names_who_has_left_since_is_found(sqlite_world: World) -> None:
    crew = await Crew(sqlite_world).start()
    await crew.policy(step(0, user(crew.ids["anna"])), step(15, user(crew.ids["ben"])))
    now = sqlite_world.clock.now()
    with sqlite_world.core.database.read() as connection:
        assert probes.policies(connection, now) == Policies(1, {})
    await crew.disable("ben")
    with sqlite_world.core.database.read() as connection:
        faults = probes.policies(connection, now).faults
    assert faults == {"Policy 0": ("steps[1].targets[0].id Ben is disabled or gone: put somebody else there",)}


async def test_whmcs_of_every_site_and_every_exporter_is_asked(world: World) -> None:
    marta = Who("marta@example.com")
    async with WhmcsStandIn() as standin:
        address = f"{standin.url}/whmcs"
        for slug, secret in (("main", SECRET), ("acme", "wrong")):
            site_id = await world.write(partial(sites.ensure, slug=slug, now=NOW))
            reached = Connection(site_id, address, IDENTIFIER, secret)
            await world.write(partial(whmcs.connect, who=marta, slug=slug, wanted=reached, now=NOW))
        for name, enabled in (("on", True), ("off", False)):
            url = f"http://127.0.0.1:{free_port()}/{name}"
            target = Target(new_id(NOW), site_id, name, url, "web01", MINUTE, None, False, enabled, "marta", NOW, NOW)
            await world.write(partial(exporters.make, who=marta, wanted=target, now=NOW))
        settings = replace(world.settings, whmcs_url="http://127.0.0.1:1", whmcs_api_id="x", whmcs_api_secret="y")
        with world.core.database.read() as connection:
            found = await asyncio.to_thread(probes.whmcs, settings, connection)
            silent = await asyncio.to_thread(probes.exporters, settings, connection, NOW)
    assert {one.site: one.error is None for one in found} == {"main": True, "acme": False}
    (exporter,) = silent
    assert exporter.name == "on of web01"
    assert exporter.fault
