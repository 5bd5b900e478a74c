"""The outside heartbeat: sent while all is well, kept back when something is down, and nothing of its address in any word."""

from collections import Counter

import pytest

from tests.api.service import Service
from tests.fakes import FakeClock
from tocsin import asgi
from tocsin.api.health import examine
from tocsin.engine.heartbeat import Heartbeat
from tocsin.net.http import MaybeSent, Response

pytestmark = pytest.mark.claim("O3")

URL = "https://hc.example.com/ping/secret-token"


class Outside:
    """The dead man's switch: what was called, and what it answers."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self.status: int | None = 200

    async def request(self, method: str, url: str, **_: object) -> Response:
        self.calls.append((method, url))
        if self.status is None:
            raise MaybeSent("no answer from hc.example.com within 10 s")
        return Response(self.status, {}, b"", cut=False)


class Found:
    """What an auditor says."""

    def __init__(self) -> None:
        self.looked_at: int | None = None
        self.error: str | None = None
        self.mended: tuple[str, ...] = ()
        self.broken: tuple[str, ...] = ()
        self.left: Counter[str] = Counter()
        self.mended_ever: Counter[str] = Counter()
        self.alone = 0


class Wellness:
    """Whether anything is down."""

    def __init__(self) -> None:
        self.fault: str | None = None

    async def why_not(self) -> str | None:
        return self.fault


@pytest.fixture
def outside() -> Outside:
    return Outside()


@pytest.fixture
def wellness() -> Wellness:
    return Wellness()


@pytest.fixture
def heartbeat(outside: Outside, wellness: Wellness) -> Heartbeat:
    return Heartbeat(outside, URL, FakeClock(1_000), wellness.why_not)  # type: ignore[arg-type]  # the one method that is used


@pytest.mark.claim("B5")
async def test_while_all_is_well_the_address_is_called(heartbeat: Heartbeat, outside: Outside) -> None:
    assert await heartbeat.beat()
    assert outside.calls == [("GET", URL)]
    assert (heartbeat.beat_at, heartbeat.error) == (1_000, None)


@pytest.mark.claim("B5")
async def test_while_something_is_down_it_is_not_called_and_the_reason_is_kept(
    heartbeat: Heartbeat, outside: Outside, wellness: Wellness
) -> None:
    wellness.fault = "the step deliver has not ended for 3 min"
    assert not await heartbeat.beat()
    assert (outside.calls, heartbeat.held_back) == ([], "the step deliver has not ended for 3 min")
    wellness.fault = None
    assert await heartbeat.beat()
    assert heartbeat.held_back is None


@pytest.mark.parametrize(("status", "error"), [(404, "it was answered with 404"), (None, "no answer from hc.example.com within 10 s")])
async def test_a_call_that_does_not_get_through_is_said_without_the_address(
    heartbeat: Heartbeat, outside: Outside, status: int | None, error: str, capsys: pytest.CaptureFixture[str]
) -> None:
    outside.status = status
    assert not await heartbeat.beat()
    assert (heartbeat.beat_at, heartbeat.error) == (None, error)
    assert "secret-token" not in capsys.readouterr().out


@pytest.mark.claim("Q10", "B5")
async def test_health_and_metrics_tell_of_promises_and_of_the_heartbeat(sqlite_service: Service, heartbeat: Heartbeat) -> None:
    service = sqlite_service
    auditor = Found()
    watch = asgi.watch_of(service.server, None, auditor, heartbeat)
    service.app.state.watch = watch
    report = await examine(service.server, watch)
    assert report.checks.promises == "ok"

    auditor.mended, auditor.alone = ("messages that wait: 1",), 2
    heartbeat.error = "it was answered with 404"
    report = await examine(service.server, watch)
    assert (report.status, report.checks.promises) == ("degraded", "degraded")
    assert (report.details or {})["promises"] == [
        "mended just now: messages that wait: 1",
        "nobody could be told of 2 open alerts",
        "the outside heartbeat did not get through: it was answered with 404",
    ]

    auditor.broken, auditor.left["message_lost"] = ("messages that are lost: 7",), 1
    assert (await service.admin.ask("GET", "//health")).status_code == 503
    metrics = (await service.admin.ask("GET", "//metrics")).text
    assert 'tocsin_promises_broken{promise="message_lost"} 1' in metrics
    assert 'tocsin_promises_broken{promise="stands_still"} 0' in metrics
    assert "tocsin_alerts_alone 2" in metrics

    auditor.broken, auditor.looked_at = (), service.world.clock.now()
    service.world.clock.advance(3 * 60_000)
    report = await examine(service.server, watch)
    assert "the auditor has not looked for 3 min: it hangs" in (report.details or {})["promises"]
