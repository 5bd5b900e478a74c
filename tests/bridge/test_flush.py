"""Sending: signed, in order, over every trouble, and never at the cost of a page."""

import json
import signal
import subprocess
from pathlib import Path

import pytest

from tests.bridge.server import KEY, Answer, Event, Reply, TocsinStandIn, problem
from tests.bridge.whmcs import REPOSITORY, Whmcs, fire, invoices
from tocsin.core.clock import SystemClock

pytestmark = pytest.mark.claim("E3")


def test_waiting_events_are_sent_in_signed_batches_in_the_order_of_their_numbers(shop: Whmcs, tocsin: TocsinStandIn) -> None:
    shop.page({"repeat": 400, "step": fire("InvoicePaid", invoiceid=1)}, *invoices(*range(2, 402)))
    result = shop.flush()
    assert (result.returncode, result.stdout) == (0, "tocsin: Nothing is waiting; 800 sent.\n")
    assert [event["sequence"] for event in tocsin.events()] == list(range(1, 801))
    assert tocsin.posts == 2
    assert shop.spooled() == []


def test_quiet_and_loud_events_keep_their_common_order(shop: Whmcs, tocsin: TocsinStandIn) -> None:
    shop.page(*[step for number in range(1, 21) for step in (fire("InvoicePaid", invoiceid=number), *invoices(number))])
    shop.flush()
    assert [event["sequence"] for event in tocsin.events()] == list(range(1, 41))


@pytest.mark.parametrize("define", [{}, {"TOCSIN_WITHOUT_CURL": True}], ids=["curl", "streams"])
def test_the_end_of_a_cron_run_sends_with_curl_or_without(shop: Whmcs, tocsin: TocsinStandIn, define: dict[str, bool]) -> None:
    shop.page({"define": define or {"UNUSED": 1}}, *invoices(1, 2), fire("AfterCronJob"))
    assert tocsin.numbers() == [1, 2]


@pytest.mark.parametrize("status", [500, 502, 503, 429])
def test_order_holds_over_retries(shop: Whmcs, tocsin: TocsinStandIn, status: int) -> None:
    shop.page(*invoices(1, 2))
    tocsin.answers.append(problem(status))
    assert shop.flush().returncode == 1
    shop.page(*invoices(3))
    assert shop.flush().returncode == 0
    assert tocsin.numbers() == [1, 2, 3]


def test_a_lost_answer_is_asked_for_again_with_the_same_ids(shop: Whmcs, tocsin: TocsinStandIn) -> None:
    shop.page(*invoices(1, 2))
    tocsin.answers.append(lambda events: (tocsin.accept(events), problem(502)(events))[1])
    shop.flush()
    shop.page(*invoices(3))
    shop.flush()
    first, second = ([json.loads(line)["id"] for line in body.splitlines()] for body in tocsin.bodies)
    assert first == second[:2]
    assert tocsin.numbers() == [1, 2, 3]


def test_a_flusher_killed_in_the_middle_of_sending_costs_nothing(shop: Whmcs, tocsin: TocsinStandIn) -> None:
    shop.page(*invoices(1, 2, 3))
    tocsin.answers.append(tocsin.hang)
    victim = subprocess.Popen(shop.flush_command(), stdout=subprocess.DEVNULL)
    assert tocsin.arrived.wait(30)
    shop.page(*invoices(4))
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    assert shop.flush().returncode == 0
    assert tocsin.numbers() == [1, 2, 3, 4]


def test_what_is_recorded_while_a_flush_runs_is_sent_by_it_in_order(shop: Whmcs, tocsin: TocsinStandIn) -> None:
    shop.page(*invoices(1), fire("InvoicePaid", invoiceid=2))
    tocsin.answers.append(tocsin.accept_late)
    running = subprocess.Popen(shop.flush_command("--quiet"))
    assert tocsin.arrived.wait(30)
    shop.page(*invoices(3), fire("InvoicePaid", invoiceid=4))
    tocsin.release.set()
    assert running.wait(30) == 0
    assert [event["sequence"] for event in tocsin.events()] == [1, 2, 3, 4]
    shop.page(*invoices(5))
    shop.flush()
    assert [event["sequence"] for event in tocsin.events()] == [1, 2, 3, 4, 5]


def test_order_holds_while_pages_write_quiet_and_loud_events_during_the_flush(shop: Whmcs, tocsin: TocsinStandIn) -> None:
    both = [{"repeat": 1500, "step": fire("InvoicePaid", invoiceid=1)}, {"repeat": 1500, "step": invoices(2)[0]}]
    pages = [shop.start(step) for step in both]
    while any(page.poll() is None for page in pages):
        shop.flush("--quiet")
    for page in pages:
        shop.end(page)
    shop.flush("--quiet")
    assert [event["sequence"] for event in tocsin.events()] == list(range(1, 3001))


def test_only_one_process_sends_at_a_time(shop: Whmcs, tocsin: TocsinStandIn) -> None:
    shop.page(*invoices(1))
    tocsin.answers.append(tocsin.hang)
    first = subprocess.Popen(shop.flush_command(), stderr=subprocess.DEVNULL)
    assert tocsin.arrived.wait(30)
    second = shop.flush()
    assert (second.returncode, second.stdout) == (0, "tocsin: Another process is sending already.\n")
    first.kill()
    first.wait()
    assert tocsin.posts == 1


def test_a_server_that_is_away_for_long_gets_all_of_it_when_it_is_back(whmcs: Whmcs, tocsin: TocsinStandIn) -> None:
    whmcs.install_addon(server_url="http://127.0.0.1:1", api_key=KEY)
    for number in range(1, 6):
        whmcs.page({"repeat": 100, "step": invoices(number)[0]}, fire("AfterCronJob"))
    assert whmcs.flush().returncode == 1
    state = whmcs.state()
    assert state["failures"] >= 2
    assert state["lastError"].startswith("The server could not be reached")
    (whmcs.folder / "config.json").write_text(json.dumps(tocsin.settings))
    assert whmcs.flush().returncode == 0
    sent = [event for event in tocsin.events() if event["type"] == "invoice.unpaid"]
    assert [event["attributes"]["invoiceid"] for event in sent] == [number for number in range(1, 6) for _ in range(100)]


def test_pauses_grow_and_are_kept_between_processes(shop: Whmcs, tocsin: TocsinStandIn) -> None:
    shop.page(*invoices(1))
    pauses = []
    for _ in range(4):
        tocsin.answers.append(problem(500))
        shop.flush()
        pauses.append(shop.state()["notBefore"] - SystemClock().now() / 1000)
    for pause, longest in zip(pauses, [10, 20, 40, 80], strict=True):
        assert longest / 2 - 2 < pause <= longest
    shop.page(fire("AfterCronJob"))
    assert tocsin.posts == 4, "the end of a cron run respects the pause"


def test_the_command_respects_a_wait_that_the_server_asked_for(shop: Whmcs, tocsin: TocsinStandIn) -> None:
    shop.page(*invoices(1))
    tocsin.answers.append(problem(429, **{"Retry-After": "120"}))
    assert shop.flush().returncode == 1
    waiting = shop.flush()
    assert waiting.returncode == 1
    assert waiting.stderr.startswith("tocsin: Waiting until 20")
    assert tocsin.posts == 1
    assert shop.flush("--now").returncode == 0
    assert tocsin.numbers() == [1]


@pytest.mark.parametrize("status", [401, 403])
def test_a_wrong_key_keeps_all_events_and_says_what_to_do(shop: Whmcs, tocsin: TocsinStandIn, status: int) -> None:
    shop.page(*invoices(1))
    tocsin.answers.append(problem(status))
    result = shop.flush()
    assert result.returncode == 1
    assert f"refused the API key ({status})" in result.stderr
    assert "scope `ingest`" in result.stderr
    assert 400 < shop.state()["notBefore"] - SystemClock().now() / 1000 <= 900
    assert len(shop.spooled()) == 1


def test_a_batch_that_is_too_large_is_halved(shop: Whmcs, tocsin: TocsinStandIn) -> None:
    shop.page(*invoices(*range(1, 21)))
    too_large = [lambda events: problem(413)(events) if len(events) > 5 else tocsin.accept(events)] * 20
    tocsin.answers.extend(too_large)
    assert shop.flush().returncode == 0
    assert tocsin.numbers() == list(range(1, 21))
    assert shop.refused() == []


@pytest.mark.parametrize("status", [400, 422])
def test_one_bad_line_never_blocks_the_others(shop: Whmcs, tocsin: TocsinStandIn, status: int) -> None:
    shop.page(*invoices(*range(1, 41)))

    def picky(events: list[Event]) -> Reply:
        bad = [event for event in events if event["attributes"]["invoiceid"] in (7, 8, 31)]
        return problem(status, "invoice 7 smells")(events) if bad else tocsin.accept(events)

    tocsin.answers.extend([picky] * 100)
    assert shop.flush().returncode == 0
    assert tocsin.numbers() == [number for number in range(1, 41) if number not in (7, 8, 31)]
    assert [json.loads(entry["event"])["attributes"]["invoiceid"] for entry in shop.refused()] == [7, 8, 31]
    assert "invoice 7 smells" in shop.refused()[0]["errors"]


def test_refused_members_of_a_batch_are_kept_aside_and_do_not_block(shop: Whmcs, tocsin: TocsinStandIn) -> None:
    shop.page(*invoices(1, 2, 3))

    def refuse_the_second(events: list[Event]) -> Reply:
        status, headers, answer = tocsin.accept([events[0], events[2]])
        errors = [{"field": "type", "message": "unknown"}]
        return status, headers, {**answer, "rejected": [{"index": 1, "id": events[1]["id"], "errors": errors}]}

    tocsin.answers.append(refuse_the_second)
    assert shop.flush().returncode == 0
    assert tocsin.numbers() == [1, 3]
    [entry] = shop.refused()
    assert json.loads(entry["event"])["attributes"]["invoiceid"] == 2
    assert entry["errors"] == [{"field": "type", "message": "unknown"}]


@pytest.mark.parametrize(
    "answer",
    [
        lambda events: (200, {}, "<html>Welcome to nginx</html>"),
        lambda events: (204, {}, ""),
        lambda events: (200, {}, {"status": "ok"}),
        lambda events: (400, {}, "<html>The plain HTTP request was sent to HTTPS port</html>"),
        lambda events: (301, {"Location": "https://elsewhere.test/"}, ""),
        lambda events: (404, {}, "not here"),
        lambda events: (202, {}, '{"accep'),
    ],
    ids=["web page", "no content", "another API", "proxy's 400", "redirect", "404", "half an answer"],
)
def test_only_tocsins_own_word_moves_the_queue(shop: Whmcs, tocsin: TocsinStandIn, answer: Answer) -> None:
    shop.page(*invoices(1, 2))
    tocsin.answers.append(answer)
    assert shop.flush().returncode == 1
    assert len(shop.spooled()) == 2
    assert shop.refused() == []
    shop.flush()
    assert tocsin.numbers() == [1, 2]


def test_without_php_fpm_a_page_never_touches_the_network(shop: Whmcs, tocsin: TocsinStandIn) -> None:
    shop.page({"documented": "InvoicePaid"}, {"documented": "UserLogout"})
    assert tocsin.posts == 0


def test_with_php_fpm_the_queue_is_sent_after_the_response(shop: Whmcs, tocsin: TocsinStandIn) -> None:
    page = shop.page({"call": "be_php_fpm"}, *invoices(1, 2))
    assert page["response_seconds"] < 0.2
    assert tocsin.numbers() == [1, 2]
    shop.page({"call": "be_php_fpm"}, *invoices(3))
    assert tocsin.posts == 1, "at most one page in ten seconds sends"


@pytest.mark.claim("P5")
def test_a_server_that_hangs_delays_no_page(shop: Whmcs, tocsin: TocsinStandIn) -> None:
    tocsin.answers.append(tocsin.hang)
    page = shop.start({"call": "be_php_fpm"}, *invoices(1))
    assert tocsin.arrived.wait(30)
    other = shop.page({"call": "be_php_fpm"}, *invoices(2))
    assert other["seconds"] < 0.2
    first = shop.end(page)
    assert first["response_seconds"] < 0.2
    assert first["seconds_in_all"] < 4.5, "the time for sending is bounded too"
    assert len(shop.spooled()) == 2


def test_the_commands_exit_codes_tell_how_it_went(whmcs: Whmcs, tocsin: TocsinStandIn) -> None:
    whmcs.install_addon()
    missing = whmcs.flush()
    assert missing.returncode == 1
    assert "No server address and API key" in missing.stderr
    assert whmcs.flush("--nonsense").returncode == 2
    usage = whmcs.flush("--help")
    assert (usage.returncode, usage.stdout[:5]) == (0, "Sends")


def test_the_command_can_be_silent(shop: Whmcs, tocsin: TocsinStandIn) -> None:
    shop.page(*invoices(1))
    assert shop.flush("--quiet").stdout == ""
    assert tocsin.numbers() == [1]


@pytest.mark.claim("E1", "E3")
def test_the_single_file_records_sends_and_can_be_run(whmcs: Whmcs, tocsin: TocsinStandIn) -> None:
    whmcs.install_single_file(**tocsin.settings)
    whmcs.page(*invoices(1, 2))
    assert whmcs.flush().returncode == 0
    whmcs.page(*invoices(3), fire("AfterCronJob"))
    assert tocsin.numbers() == [1, 2, 3]


@pytest.mark.claim("E1")
def test_the_single_file_takes_its_settings_from_the_environment_too(whmcs: Whmcs, tocsin: TocsinStandIn) -> None:
    whmcs.install_single_file()
    environment = {"TOCSIN_SERVER_URL": tocsin.url, "TOCSIN_API_KEY": KEY, "TOCSIN_PERSONAL": "texts, names"}
    whmcs.page({"documented": "UserAdd"}, fire("AfterCronJob"), env=environment)
    assert tocsin.events()[0]["attributes"]["firstname"] == "PERSONALMARK-firstname"


def test_the_files_cannot_be_opened_by_themselves(whmcs: Whmcs) -> None:
    whmcs.install_addon()
    for name in ("hooks.php", "tocsin.php"):
        opened = subprocess.run(["php", whmcs.root / "modules/addons/tocsin" / name], capture_output=True, text=True, check=False)
        assert opened.stdout == "This file is part of WHMCS and cannot be opened by itself."


@pytest.mark.claim("B1")
def test_plain_http_and_other_schemes_are_no_way_out(whmcs: Whmcs) -> None:
    whmcs.install_addon(server_url="file:///etc/passwd", api_key=KEY)
    whmcs.page(*invoices(1))
    result = whmcs.flush()
    assert result.returncode == 1
    assert "must begin with https://" in result.stderr


@pytest.fixture
def tls_tocsin(tocsin: TocsinStandIn, tmp_path: Path) -> TocsinStandIn:
    """The stand-in behind TLS, with a certificate that only its own file vouches for."""
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    name = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    subprocess.run([*make, *name, "-out", certificate, "-keyout", key], check=True, capture_output=True)
    tocsin.use_tls(certificate, key)
    return tocsin


@pytest.mark.claim("E3", "S7", "B1")
@pytest.mark.parametrize("define", [{}, {"TOCSIN_WITHOUT_CURL": True}], ids=["curl", "streams"])
def test_a_certificate_that_nobody_vouches_for_gets_no_event(whmcs: Whmcs, tls_tocsin: TocsinStandIn, define: dict[str, bool]) -> None:
    server = f"https://localhost:{tls_tocsin.port}"
    whmcs.install_addon(server_url=server, api_key=KEY)
    whmcs.page({"define": {"UNUSED": 1, **define}}, *invoices(1), fire("AfterCronJob"))
    assert whmcs.state()["lastError"].startswith("The server could not be reached")
    assert tls_tocsin.posts == 0
    config = {"server_url": server, "api_key": KEY, "ca_file": str(tls_tocsin.certificate)}
    (whmcs.folder / "config.json").write_text(json.dumps(config))
    (whmcs.folder / "flush.json").unlink()
    whmcs.page({"define": {"UNUSED": 1, **define}}, fire("AfterCronJob"))
    assert tls_tocsin.numbers() == [1]


def test_a_certificate_for_another_name_gets_no_event(whmcs: Whmcs, tls_tocsin: TocsinStandIn) -> None:
    other_name = f"https://127.0.0.1:{tls_tocsin.port}"
    whmcs.install_addon(server_url=other_name, api_key=KEY, ca_file=str(tls_tocsin.certificate))
    whmcs.page(*invoices(1))
    assert whmcs.flush().returncode == 1
    assert tls_tocsin.posts == 0


@pytest.mark.claim("P5", "origin:A12")
def test_a_hook_costs_the_page_far_less_than_a_millisecond() -> None:
    bench = subprocess.run(["php", REPOSITORY / "bench/bridge_hook.php", "3000"], capture_output=True, text=True, check=True)
    measured = json.loads(bench.stdout)
    assert measured["n"] == 3000
    assert measured["p99_us"] < 1000


@pytest.mark.claim("M9")
@pytest.mark.parametrize("variant", ["addon", "single file"])
def test_maintenance_mode_is_told_once_when_it_starts_and_once_when_it_ends(whmcs: Whmcs, tocsin: TocsinStandIn, variant: str) -> None:
    install = whmcs.install_addon if variant == "addon" else whmcs.install_single_file
    install(**tocsin.settings)
    cron = fire("AfterCronJob")
    whmcs.page(cron)
    (whmcs.root / "maintenance-mode").touch()
    whmcs.page(cron)
    whmcs.page(cron)
    (whmcs.root / "maintenance-mode").unlink()
    whmcs.page(cron)
    whmcs.page(cron)
    told = [event["type"] for event in tocsin.events() if event["type"] != "whmcs.metrics"]
    assert told == ["system.maintenance_started", "system.maintenance_ended"]
