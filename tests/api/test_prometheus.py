"""Remote write and exporters, asked as Prometheus and as a client ask."""

from typing import Any

import httpx
import pytest

from tests.api.service import OTHER_SITE, Caller, Service
from tests.fakes import NOW
from tests.prometheus import build
from tocsin.core.clock import MINUTE

FIRST = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy", "X-Prometheus-Remote-Write-Version": "0.1.0"}
SECOND = FIRST | {"Content-Type": "application/x-protobuf;proto=io.prometheus.write.v2.Request"}
PAGE = {"url": "http://web01.example.com:9100/metrics"}


def series(name: str, *points: tuple[int, float], **labels: str) -> build.Series:
    return {"__name__": name, "instance": "Web01.example.com:9100", "job": "node", **labels}, points


async def write(caller: Caller, *sent: build.Series, second: bool = False, query: str = "") -> httpx.Response:
    body = build.packed(build.second(sent) if second else build.first(sent))
    return await caller.ask("POST", f"/prometheus/write{query}", content=body, headers=SECOND if second else FIRST)


async def newest(service: Service, **wanted: str) -> dict[tuple[str, str | None, str], float]:
    found = (await service.admin.get("/metrics/series", **wanted))["items"]
    return {(one["name"], one["host"], " ".join(one["labels"].values())): one["last_value"] for one in found}


@pytest.mark.claim("M8")
@pytest.mark.parametrize("second", [False, True], ids=["1.0", "2.0"])
async def test_remote_write_is_stored_under_its_own_names_and_node_exporter_s_under_ours(service: Service, second: bool) -> None:
    for minute in range(3):
        service.world.clock.at = at = NOW + minute * MINUTE
        answer = await write(
            service.sender,
            series("mysql_up", (at, 1.0)),
            series("mysql_gone", (at, float("nan"))),
            series("node_load1", (at, 0.5 + minute)),
            series("node_cpu_seconds_total", (at, 100.0 + 3 * minute), cpu="0", mode="idle"),
            series("node_cpu_seconds_total", (at, 100.0 + minute), cpu="0", mode="user"),
            series("node_arp_entries", (at, 9.0)),
            second=second,
        )
        assert (answer.status_code, answer.content) == (204, b"")
        assert answer.headers["x-prometheus-remote-write-samples-written"] == "6"
    assert await newest(service) == {
        ("cpu_percent", "web01.example.com", ""): 25.0,
        ("cpu_mode_percent", "web01.example.com", "user"): 25.0,
        ("load_1m", "web01.example.com", ""): 1.5,
        ("mysql_up", "web01.example.com", "node"): 1.0,
    }


async def test_a_host_that_prometheus_watches_is_judged_by_our_thresholds(service: Service) -> None:
    for minute in range(2):
        service.world.clock.at = at = NOW + minute * MINUTE
        disk = {"mountpoint": "/var", "fstype": "ext4", "device": "/dev/sda1"}
        values = {"size": 100.0, "free": 7.0, "avail": 3.0}
        await write(service.sender, *[series(f"node_filesystem_{name}_bytes", (at, value), **disk) for name, value in values.items()])
    (alert,) = (await service.reader.get("/alerts"))["items"]
    assert alert["title"] == "web01.example.com: disk /var 96.9 % full, critical from 95 %"


async def test_all_names_are_kept_if_that_is_asked_for(service: Service) -> None:
    await write(service.sender, series("node_arp_entries", (NOW, 9.0)), query="?keep=all")
    assert await newest(service) == {("node_arp_entries", "web01.example.com", "node"): 9.0}


async def test_a_label_host_says_better_whose_value_it_is(service: Service) -> None:
    await write(service.sender, series("mysql_up", (NOW, 1.0), host="DB1"))
    assert [host for _, host, _ in await newest(service)] == ["db1"]


async def test_what_cannot_be_stored_is_named_and_the_rest_is_stored(service: Service) -> None:
    answer = await write(service.sender, series("good", (NOW, 1.0), (NOW - 30 * 24 * 60 * MINUTE, 1.0)), series("bad name", (NOW, 1.0)))
    assert answer.status_code == 422
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert answer.headers["x-prometheus-remote-write-samples-written"] == "1"
    detail = answer.json()["detail"]
    assert detail.startswith("2 of 3 samples were not taken: good: at is more than 7 days before")
    assert "bad name: __name__ must have letters" in detail
    assert await newest(service) == {("good", "web01.example.com", "node"): 1.0}


async def test_bodies_that_are_no_remote_write_are_refused(service: Service) -> None:
    body = build.packed(build.first([series("up", (NOW, 1.0))]))
    for headers in (FIRST | {"Content-Type": "application/json"}, FIRST | {"Content-Encoding": "gzip"}, SECOND | {"Content-Encoding": ""}):
        await service.sender.refused("POST", "/prometheus/write", 415, content=body, headers=headers)
    unknown = FIRST | {"Content-Type": "application/x-protobuf;proto=some.other.Message"}
    await service.sender.refused("POST", "/prometheus/write", 415, content=body, headers=unknown)
    problem = await service.sender.refused("POST", "/prometheus/write", 422, content=b"\x05\x08abc", headers=FIRST)
    assert problem["errors"] == [{"field": "body", "message": "the Snappy block is shorter than it says"}]
    bomb = build.varint(1 << 31) + b"\x00a"
    await service.sender.refused("POST", "/prometheus/write", 413, content=bomb, headers=FIRST)
    await service.reader.refused("POST", "/prometheus/write", 403, content=body, headers=FIRST)


async def test_a_key_of_a_site_writes_to_its_site_alone(service: Service) -> None:
    assert (await write(service.tenant, series("up", (NOW, 1.0)))).status_code == 204
    assert list(await newest(service, site="main")) == []
    assert len(await newest(service, site=OTHER_SITE)) == 1
    assert (await write(service.tenant, series("up", (NOW, 1.0)), query="?site=main")).status_code == 422
    assert (await write(service.sender, series("up", (NOW, 1.0)), query=f"?site={OTHER_SITE}")).status_code == 204


# --- Exporters ----------------------------------------------------------------------------------------------------------


async def test_an_exporter_is_made_changed_and_removed_and_its_token_is_never_shown(service: Service) -> None:
    made = await service.admin.post("/prometheus/exporters", PAGE | {"token": "hush-hush"}, 201)
    assert (made["host"], made["name"], made["site"], made["interval_seconds"]) == ("web01.example.com", "node_exporter", "main", 60)
    path = f"/prometheus/exporters/{made['id']}"
    changes = {"interval_seconds": 15, "host": "WEB01", "keep_all": True}
    changed = (await service.admin.ask("PATCH", path, json=changes)).json()
    assert changed == made | changes | {"host": "web01"}
    assert changed["with_token"] is True
    elsewhere = {"url": "http://elsewhere.example.com:9100/metrics"}
    problem = await service.admin.refused("PATCH", path, 422, json=elsewhere)  # what was meant for one is not sent to another
    assert [error["field"] for error in problem["errors"]] == ["token"]
    assert (await service.admin.ask("PATCH", path, json={"token": None})).json()["with_token"] is False
    assert await service.reader.get("/prometheus/exporters") == {"next_cursor": None, "items": [changed | {"with_token": False}]}
    assert "hush-hush" not in (await service.admin.ask("GET", "/audit")).text
    await service.admin.refused("POST", "/prometheus/exporters", 409, json=PAGE)
    assert (await service.admin.ask("DELETE", path)).status_code == 204
    await service.reader.refused("GET", path, 404)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"url": "ftp://web01.example.com/metrics"}, "url"),
        ({"url": "http://:9100/metrics"}, "url"),
        ({"url": "http://web01.example.com:99999/"}, "url"),
        ({"url": "http://user:pass@web01.example.com/"}, "url"),
        ({"url": "http://web01.example.com/\nx"}, "url"),
        ({"token": "a b"}, "token"),
        ({"interval_seconds": 9}, "interval_seconds"),
        ({"name": " "}, "name"),
        ({"site": "nowhere"}, "site"),
    ],
)
async def test_an_exporter_that_cannot_be_is_refused_by_field(sqlite_service: Service, changes: dict[str, Any], field: str) -> None:
    problem = await sqlite_service.admin.refused("POST", "/prometheus/exporters", 422, json=PAGE | changes)
    assert [error["field"] for error in problem["errors"]] == [field]


@pytest.mark.claim("S5")
async def test_another_site_s_exporters_are_not_there(sqlite_service: Service) -> None:
    service = sqlite_service
    foreign = await service.admin.post("/prometheus/exporters", PAGE, 201)
    own = await service.admin.post("/prometheus/exporters", PAGE | {"site": OTHER_SITE}, 201)
    assert [one["id"] for one in (await service.tenant.get("/prometheus/exporters"))["items"]] == [own["id"]]
    await service.tenant.refused("GET", f"/prometheus/exporters/{foreign['id']}", 404)
    for caller in (service.tenant, service.writer, service.reader):
        await caller.refused("POST", "/prometheus/exporters", 403, json=PAGE)
