"""The spool: what a hook writes, and what becomes of it when processes die, disks fill and many write at once."""

import fcntl
import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.bridge.server import KEY, TocsinStandIn
from tests.bridge.whmcs import Whmcs, fire, invoices
from tocsin.core.clock import monotonic

pytestmark = pytest.mark.claim("E3", "E4")


def small_spool(whmcs: Whmcs, **options: object) -> Whmcs:
    return whmcs.install_addon(server_url="http://127.0.0.1:1", api_key=KEY, **options)


def test_events_are_numbered_from_one_without_a_gap_over_page_views(offline: Whmcs) -> None:
    offline.page(*invoices(1, 2))
    offline.page(fire("InvoicePaid", invoiceid=3), *invoices(4))
    assert [event["sequence"] for event in offline.spooled()] == [1, 2, 3, 4]
    assert [event["attributes"]["invoiceid"] for event in offline.spooled()] == [1, 2, 3, 4]
    assert len({event["id"] for event in offline.spooled()}) == 4
    assert len({event["source"] for event in offline.spooled()}) == 1


def test_eight_processes_at_once_lose_and_tear_nothing(shop: Whmcs, tocsin: TocsinStandIn) -> None:
    both = [fire("InvoicePaid", invoiceid=1), *invoices(2)]
    work = [{"repeat": 100, "step": step} for step in both]
    pages = [shop.start(*work) for _ in range(8)]
    for page in pages:
        shop.end(page)
    assert shop.flush().returncode == 0
    assert [event["sequence"] for event in tocsin.events()] == list(range(1, 1601))
    assert len({event["id"] for event in tocsin.events()}) == 1600
    assert shop.refused() == []


def _bytes(shop: Whmcs) -> int:
    return sum(segment.stat().st_size for segment in shop.segments())


def test_processes_killed_at_any_moment_leave_only_whole_events_and_no_number_twice(shop: Whmcs, tocsin: TocsinStandIn) -> None:
    endless = {"repeat": 100_000, "step": invoices(1)[0]}
    for _ in range(3):
        before = _bytes(shop)
        pages = [shop.start(endless) for _ in range(3)]
        while _bytes(shop) < before + 60_000:
            assert all(page.poll() is None for page in pages)
            time.sleep(0.005)
        for page in pages:
            page.kill()
            page.communicate()
    shop.page(*invoices(2))
    while shop.spooled():  # one flush takes a bounded number of events
        assert shop.flush().returncode == 0
    numbers = [event["sequence"] for event in tocsin.events()]
    assert len(numbers) > 100
    assert numbers == sorted(set(numbers))
    assert 2 in tocsin.numbers()  # not always the last: what a killed process had laid aside is taken in when it is found
    lost = numbers[-1] - len(numbers)
    assert lost <= 9, "at most the event that each killed process was writing"


def test_a_line_torn_by_a_crash_is_left_behind_and_the_next_events_are_whole(shop: Whmcs, tocsin: TocsinStandIn) -> None:
    shop.page(*invoices(1, 2))
    [segment] = shop.segments()
    os.truncate(segment, segment.stat().st_size - 30)
    shop.page(*invoices(3))
    assert shop.flush().returncode == 0
    assert [(event["sequence"], event["attributes"]["invoiceid"]) for event in tocsin.events()] == [(1, 1), (3, 3)]
    [torn] = shop.refused()
    assert torn["errors"] == "the line was torn by a crash"


def test_a_crash_between_number_and_line_leaves_a_gap_and_no_repeated_number(shop: Whmcs, tocsin: TocsinStandIn) -> None:
    shop.page(*invoices(1, 2))
    [segment] = shop.segments()
    lines = segment.read_bytes().splitlines(keepends=True)
    segment.write_bytes(lines[0])
    shop.page(*invoices(3))
    shop.flush()
    assert [event["sequence"] for event in tocsin.events()] == [1, 3]


def test_a_damaged_head_starts_a_new_name_above_all_used_numbers(shop: Whmcs, tocsin: TocsinStandIn) -> None:
    shop.page(*invoices(1, 2), fire("InvoicePaid", invoiceid=3))
    (shop.folder / "head").write_bytes(b"\0" * 200)
    shop.page(*invoices(4))
    shop.flush()
    assert [event["sequence"] for event in tocsin.events()] == [1, 2, 3, 4]
    assert len({event["source"] for event in tocsin.events()}) == 2


def test_a_lost_head_after_all_was_sent_hides_no_later_event(shop: Whmcs, tocsin: TocsinStandIn) -> None:
    shop.page(*invoices(1, 2, 3))
    shop.flush()
    (shop.folder / "head").unlink()
    shop.page(*invoices(4))
    shop.flush()
    assert tocsin.numbers() == [1, 2, 3, 4]


def test_the_oldest_quiet_events_go_first_and_are_counted(whmcs: Whmcs) -> None:
    small_spool(whmcs, max_bytes=60000)
    whmcs.page(*invoices(1, 2, 3), {"repeat": 400, "step": fire("InvoicePaid", invoiceid=9)}, *invoices(4))
    assert sum(path.stat().st_size for path in whmcs.segments()) <= 60000
    events = whmcs.spooled()
    assert [event["attributes"]["invoiceid"] for event in events if event["type"] == "invoice.unpaid"] == [1, 2, 3, 4]
    quiet = [event["sequence"] for event in events if event["type"] == "invoice.paid"]
    dropped = 400 - len(quiet)
    assert dropped > 0
    assert quiet == list(range(4 + dropped, 404)), "the newest quiet events are the ones kept"


def test_loud_events_go_only_when_no_quiet_one_is_left(whmcs: Whmcs) -> None:
    small_spool(whmcs, max_bytes=60000)
    whmcs.page(fire("InvoicePaid", invoiceid=1), {"repeat": 400, "step": invoices(2)[0]})
    assert {event["type"] for event in whmcs.spooled()} == {"invoice.unpaid"}
    assert whmcs.spooled()[-1]["sequence"] == 401


def test_what_was_dropped_is_reported_once_and_shows_as_a_gap(whmcs: Whmcs, tocsin: TocsinStandIn) -> None:
    whmcs.install_addon(**tocsin.settings, max_bytes=60000)
    whmcs.page({"repeat": 400, "step": fire("InvoicePaid", invoiceid=9)})
    whmcs.flush()
    whmcs.flush()
    [report] = [event for event in tocsin.events() if event["type"] == "bridge.spool_dropped"]
    kept = [event for event in tocsin.events() if event["type"] == "invoice.paid"]
    assert report["attributes"]["dropped"] == 400 - len(kept) > 0
    assert kept[0]["sequence"] == 1 + report["attributes"]["dropped"]


def test_every_event_arrives_or_is_counted_even_when_room_is_made_during_a_flush(whmcs: Whmcs, tocsin: TocsinStandIn) -> None:
    whmcs.install_addon(**tocsin.settings, max_bytes=60000)
    whmcs.page({"repeat": 20, "step": fire("InvoicePaid", invoiceid=1)})
    tocsin.answers.append(tocsin.accept_late)
    running = subprocess.Popen(whmcs.flush_command("--quiet"))
    assert tocsin.arrived.wait(30)
    whmcs.page({"repeat": 400, "step": fire("InvoicePaid", invoiceid=2)})
    tocsin.release.set()
    assert running.wait(30) == 0
    whmcs.flush()
    paid = [event for event in tocsin.events() if event["type"] == "invoice.paid"]
    dropped = sum(event["attributes"].get("dropped", 0) for event in tocsin.events())
    assert dropped > 0
    assert len(paid) + dropped == 420


def test_a_full_disk_breaks_no_page_and_is_counted(offline: Whmcs) -> None:
    offline.page(*invoices(1))
    limit = offline.segments()[0].stat().st_size + 100
    offline.page(*invoices(2, 3), largest_file=limit)
    assert [event["attributes"]["invoiceid"] for event in offline.spooled()] == [1]
    offline.page(*invoices(4))
    assert [(event["sequence"], event["attributes"]["invoiceid"]) for event in offline.spooled()] == [(1, 1), (4, 4)]
    faults = json.loads((offline.folder / "faults.json").read_text())
    assert "disk" in faults["message"]


def test_a_folder_that_cannot_be_used_breaks_no_page(whmcs: Whmcs) -> None:
    blocker = whmcs.root.parent / "file"
    blocker.write_text("")
    small_spool(whmcs, folder=str(blocker / "spool"))
    page = whmcs.page({"documented": "*"})
    assert all(returned == [[None]] for returned in page["returned"].values())


def test_a_folder_open_to_others_is_closed_before_it_is_used(offline: Whmcs) -> None:
    offline.folder.chmod(0o755)
    offline.page(*invoices(1))
    assert offline.folder.stat().st_mode & 0o777 == 0o700


def test_a_stopped_process_that_holds_the_lock_delays_a_page_by_an_instant_and_costs_no_event(shop: Whmcs, tocsin: TocsinStandIn) -> None:
    shop.page(*invoices(1))
    holder = shop.start({"call": "hold_spool", "args": [str(shop.folder / "head")]}, {"sleep": 20})
    wait_until_locked(shop.folder / "head")
    holder.send_signal(signal.SIGSTOP)
    try:
        page = shop.page(*invoices(2, 3, 4))
    finally:
        holder.kill()
        holder.communicate()
    assert page["seconds"] < 0.3
    shop.page(*invoices(5))
    assert shop.flush().returncode == 0
    assert sorted(tocsin.numbers()) == [1, 2, 3, 4, 5]
    assert [event["sequence"] for event in tocsin.events()] == [1, 2, 3, 4, 5]
    assert not list(shop.folder.glob("aside-*"))


def wait_until_locked(path: Path) -> None:
    until = monotonic() + 5
    while monotonic() < until:
        with path.open("rb+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
        time.sleep(0.005)
    raise AssertionError("the lock was never taken")


def test_a_batch_ends_at_the_number_up_to_which_all_was_written_when_the_flush_looked(offline: Whmcs) -> None:
    offline.page(*invoices(1), fire("InvoicePaid", invoiceid=2), *invoices(3), fire("InvoicePaid", invoiceid=4))
    [numbers] = offline.page({"call": "batch_up_to", "args": [str(offline.folder), 2]})["called"]
    assert numbers == [1, 2]


def test_a_process_never_answers_from_an_old_copy_of_the_head(offline: Whmcs) -> None:
    reading = {"call": "head_before_and_after_another_writer", "args": [str(offline.folder)]}
    [numbers] = offline.page(*invoices(1), reading)["called"]
    assert numbers == [1, 2]


def test_a_folder_deleted_under_a_running_process_is_made_anew(offline: Whmcs) -> None:
    offline.page(*invoices(1), {"call": "delete_spool", "args": [str(offline.folder)]}, *invoices(2))
    assert [event["attributes"]["invoiceid"] for event in offline.spooled()] == [2]
