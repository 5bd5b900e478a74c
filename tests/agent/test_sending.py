"""What was measured comes to the server once, in order, whatever is in the way."""

import json
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from agent import tocsin_agent as agent
from tests.agent.build import AT, FakeLink, Files, an_agent
from tocsin.core.clock import DAY, HOUR

pytestmark = pytest.mark.claim("M1")
GONE = OSError("connection refused")


@pytest.fixture
def link() -> FakeLink:
    return FakeLink()


@pytest.fixture
def one(tmp_path: Path, link: FakeLink) -> Iterator[Any]:
    with closing(an_agent(Files(tmp_path / "root"), tmp_path, link)) as one:
        yield one


def times(link: FakeLink) -> list[str]:
    """When each round was, in the order in which they came."""
    return [sample["at"] for sample in link.samples() if sample["name"] == "load_1m"]


def test_while_the_server_answers_nothing_is_written_to_disk(one: Any, link: FakeLink, tmp_path: Path) -> None:
    one.round()
    assert len(times(link)) == 1
    assert not list((tmp_path / "state" / "spool").glob("*.spool"))
    assert {sample["host"] for sample in link.samples()} == {"web-1"}
    card = json.loads(link.cards[0])
    assert (card["id"], card["host"], card["interval_seconds"], card["facts"]["cpus"]) == (one.id, "web-1", 10, 2)
    assert card["facts"]["os"] == "Debian GNU/Linux 12 (bookworm)"


@pytest.mark.claim("A24")
def test_while_it_is_away_what_was_measured_waits_and_comes_in_order(one: Any, link: FakeLink) -> None:
    link.answers = [GONE]
    for _ in range(5):
        one.round()
        time.sleep(0.002)
    assert link.taken == []
    one._send_at = 0.0
    one.drain(time.time() + 5)
    one.round()
    assert len(times(link)) == 6
    assert times(link) == sorted(times(link))
    assert one.spool.is_empty()


def test_a_round_that_takes_long_does_not_starve_what_waits(one: Any, link: FakeLink) -> None:
    link.answers = [GONE]
    one.round()
    one._send_at = 0.0
    one.drain(time.time() - 1)
    assert one.spool.is_empty()


def test_a_new_round_never_overtakes_what_waits(one: Any, link: FakeLink) -> None:
    link.answers = [GONE]
    one.round()
    one._send_at = 0.0
    one.round()
    assert link.taken == []


@pytest.mark.parametrize("answer", [GONE, ValueError("x"), 401, 403, 404, 429, 500, 503, 200, (302, {"location": "https://x/"}, b"")])
def test_what_the_server_did_not_take_is_kept(one: Any, link: FakeLink, answer: Any) -> None:
    link.answers = [answer]
    one.round()
    assert not one.spool.is_empty()
    assert one._send_at > time.time()


@pytest.mark.parametrize("answer", [413, 422])
def test_what_it_never_will_take_is_dropped_and_said(one: Any, link: FakeLink, answer: int, capsys: pytest.CaptureFixture[str]) -> None:
    link.answers = [(answer, {}, b'{"detail": "too much"}')]
    one.round()
    assert one.spool.is_empty()
    assert "dropped: too much" in capsys.readouterr().err


@pytest.mark.claim("A24")
def test_it_waits_longer_each_time_and_as_long_as_it_is_asked_to(one: Any, link: FakeLink) -> None:
    waits = []
    for _ in range(12):
        before = time.time()
        one._failed("no")
        waits.append(one._send_at - before)
    assert 0.4 < waits[0] < 1.1
    assert 149 < waits[-1] < 301
    one._pause = 0.0
    one._failed("no", "120")
    assert one._send_at - time.time() > 119


def test_it_says_once_that_the_server_is_away_and_once_that_it_is_back(
    one: Any, link: FakeLink, capsys: pytest.CaptureFixture[str]
) -> None:
    link.answers = [GONE, GONE, GONE]
    for _ in range(3):
        one._send_at = 0.0
        one.round()
        one.drain(time.time() + 1)
    one._send_at = 0.0
    one.drain(time.time() + 5)
    said = capsys.readouterr().err
    assert said.count("cannot be reached") == 1
    assert said.count("takes what is sent") == 1


def test_a_clock_that_is_far_off_is_corrected_by_the_servers(one: Any, link: FakeLink) -> None:
    link.drift = 5 * HOUR
    one.round()
    at = agent.parse_stamp(times(link)[0])
    assert abs(at - (agent.now_ms() - 5 * HOUR)) < 5_000
    assert [s["value"] for s in link.samples() if s["name"] == "clock_drift_seconds"] == [5 * 3600]


def test_what_is_older_than_seven_days_is_let_go(one: Any, link: FakeLink) -> None:
    spool = one.spool
    for n, at in enumerate((AT - 8 * DAY, AT - 6 * DAY)):
        spool.add("m", at, 1, agent.gzipped(b'{"samples":[%d]}' % n))
    kind, bodies, _ = spool.next(AT)
    assert (kind, len(bodies), spool.dropped) == ("m", 1, 1)


def test_the_spool_is_bounded_and_loses_the_oldest_first(tmp_path: Path) -> None:
    spool = agent.Spool(str(tmp_path / "s"), 3 * agent.SEGMENT_SIZE)
    body = bytes(range(256)) * 1024
    for n in range(30):
        spool.add("m", AT, 1, b"%04d" % n + body)
    size = sum(file.stat().st_size for file in (tmp_path / "s").glob("*.spool"))
    assert size <= 4 * agent.SEGMENT_SIZE
    found = spool.next(AT)
    assert found is not None
    assert 0 < int(found[1][0][:4]) == spool.dropped


def test_two_agents_do_not_share_a_folder(one: Any, tmp_path: Path, link: FakeLink) -> None:
    with pytest.raises(agent.Fault, match="another agent already uses"):
        an_agent(Files(tmp_path / "other"), tmp_path, link)


STEPS = st.lists(st.sampled_from(["add", "add", "add", "event", "send", "send", "die", "die while sending", "cut"]), max_size=40)


@settings(max_examples=60)
@given(STEPS, st.integers(1, 6), st.data())
def test_whatever_ends_the_agent_all_comes_in_order_and_nothing_is_skipped(
    tmp_path: Path, steps: list[str], most: int, data: st.DataObject
) -> None:
    """Sent twice may be what was under way when it died: the server knows it by its time. What was half written may be missing."""
    folder = tmp_path / agent.new_id()
    spool, added, sent, torn = agent.Spool(str(folder)), 0, [], set()
    for step in [*steps, *["send"] * 60]:
        match step:
            case "add" | "event":
                spool.add("m" if step == "add" else "e", AT, 1, b"%d" % added)
                added += 1
            case "send" | "die while sending":
                found = spool.next(AT, most)
                if found is not None:
                    assert len(found[1]) <= most
                    sent += [int(body) for body in found[1]]
                    if step == "send":
                        spool.done(found[2])
            case "cut":
                files = sorted(folder.glob("*.spool"))
                if files and files[-1].stat().st_size and added - 1 not in sent:
                    raw = files[-1].read_bytes()
                    files[-1].write_bytes(raw[: -data.draw(st.integers(1, len(b"%d" % (added - 1))))])
                    torn.add(added - 1)
        if step in ("die", "die while sending", "cut"):
            spool = agent.Spool(str(folder))
    assert spool.is_empty()
    once = list(dict.fromkeys(sent))
    assert [n for n in range(added) if n not in torn] == [n for n in once if n not in torn]
