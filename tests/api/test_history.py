"""Metrics over HTTP: what is taken, what is refused and why, what comes back."""

import gzip
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pytest
import sqlalchemy as sa

from tests.api.service import OTHER_SITE, Service
from tocsin.core.clock import DAY, HOUR, MINUTE
from tocsin.core.times import to_text
from tocsin.db import tables


async def send(service: Service, *samples: dict[str, Any], **more: Any) -> Any:
    return await service.sender.post("/metrics", {"samples": samples, **more}, 202)


@pytest.mark.claim("A14")
async def test_samples_are_taken_and_listed_as_series(service: Service) -> None:
    now = service.world.clock.now()
    answer = await send(
        service,
        {"name": "cpu_percent", "host": "web1", "value": 12.5},
        {"name": "cpu_percent", "host": "web1", "value": 11, "at": to_text(now - MINUTE)},
        {"name": "disk_percent", "host": "web1", "labels": {"mount": "/"}, "value": 81.25, "at": to_text(now)},
        {"name": "orders_total", "value": 7, "site": OTHER_SITE},
    )
    assert answer == {"accepted": 4, "repeated": 0, "rejected": []}
    page = await service.reader.get("/metrics/series")
    assert page["next_cursor"] is None
    assert page["items"][1] == {
        "name": "disk_percent",
        "unit": "percent",
        "host": "web1",
        "site": "main",
        "labels": {"mount": "/"},
        "first_at": to_text(now),
        "last_at": to_text(now),
        "last_value": 81.25,
    }
    assert [(one["site"], one["name"], one["last_value"]) for one in page["items"]] == [
        ("main", "cpu_percent", 12.5),
        ("main", "disk_percent", 81.25),
        (OTHER_SITE, "orders_total", 7.0),
    ]


async def test_series_are_found_by_their_parts_and_come_in_pages(service: Service) -> None:
    mounts = ["/", "/var", "/var/lib,x"]
    await send(service, *[{"name": "disk_percent", "host": h, "labels": {"mount": m}, "value": 1} for h in ("a", "b") for m in mounts])
    assert len((await service.reader.get("/metrics/series", name="disk_percent", host="a"))["items"]) == 3
    found = await service.reader.get("/metrics/series", labels="mount=/var/lib,x")
    assert [one["host"] for one in found["items"]] == ["a", "b"]
    assert (await service.reader.get("/metrics/series", labels="mount=/,device=sda"))["items"] == []
    seen: list[tuple[str, str]] = []
    cursor: dict[str, str] = {}
    while True:
        page = await service.reader.get("/metrics/series", limit=4, **cursor)
        seen += [(one["host"], one["labels"]["mount"]) for one in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert seen == [(h, m) for h in ("a", "b") for m in mounts]


async def test_a_site_sees_and_sends_its_own_only(service: Service) -> None:
    answer = await service.tenant.post("/metrics", {"samples": [{"name": "cpu_percent", "value": 1, "site": "main"}]}, 202)
    assert answer["rejected"] == [{"index": 0, "errors": [{"field": "site", "message": "there is no site main for you"}]}]
    await service.tenant.post("/metrics", {"samples": [{"name": "load_1m", "value": 1}]}, 202)
    await send(service, {"name": "cpu_percent", "value": 1})
    assert [one["name"] for one in (await service.tenant.get("/metrics/series"))["items"]] == ["load_1m"]
    await service.tenant.refused("GET", "/metrics/series?site=main", 404)


async def test_bad_samples_are_named_and_the_others_taken(service: Service) -> None:
    now = service.world.clock.now()
    good = {"name": "cpu_percent", "value": 1, "host": "web1"}
    bad: list[Any] = [
        {**good, "name": "cpu"},
        {**good, "value": "12"},
        {**good, "value": None},
        {**good, "at": to_text(now + HOUR)},
        {**good, "at": to_text(now - 8 * DAY)},
        {**good, "at": 1_767_225_600},
        {**good, "host": "a\0b"},
        {**good, "labels": {"a b": "x"}},
        {**good, "labels": {"a": 1}},
        {**good, "site": "nowhere"},
        {**good, "colour": "red"},
        {"name": "cpu_percent"},
        17,
    ]
    answer = await send(service, good, *bad)
    assert answer["accepted"] == 1
    assert [one["index"] for one in answer["rejected"]] == list(range(1, len(bad) + 1))
    fields = [[error["field"] for error in one["errors"]] for one in answer["rejected"]]
    assert fields == [
        *[["name"], ["value"], ["value"], ["at"], ["at"], ["at"], ["host"], ["labels.a b"]],
        *[["labels[...]"], ["site"], ["colour"], ["value"], ["body"]],
    ]


@pytest.mark.parametrize("value", [b"NaN", b"Infinity", b"1e999"])
async def test_numbers_that_are_none_are_refused(service: Service, value: bytes) -> None:
    body = b'{"samples": [{"name": "cpu_percent", "value": 1}, {"name": "load_1m", "value": %s}]}' % value
    answer = await service.sender.ask("POST", "/metrics", content=body, headers={"Content-Type": "application/json"})
    if answer.status_code == 202:
        assert (answer.json()["accepted"], answer.json()["rejected"][0]["errors"][0]["field"]) == (1, "value")
    else:
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["field"] in ("body", "samples")


async def test_a_body_that_cannot_be_read_says_why(service: Service) -> None:
    for body, field in [
        (b"", "body"),
        (b"[]", "body"),
        (b"{", "body"),
        (b"{}", "samples"),
        (b'{"samples": 3}', "samples"),
        (b'{"samples": [], "x": 1}', "x"),
        (b"[" * 20_000, "body"),
        (b"\xff\xfe", "body"),
    ]:
        problem = await service.sender.refused("POST", "/metrics", 422, content=body, headers={"Content-Type": "application/json"})
        assert problem["errors"][0]["field"] == field, body[:40]
    await service.sender.refused("POST", "/metrics", 415, content=b"x", headers={"Content-Type": "text/plain"})
    await service.sender.refused("POST", "/metrics", 415, content=b"x", headers={"Content-Encoding": "br"})
    await service.reader.refused("POST", "/metrics", 403, json={"samples": []})
    await service.sender.refused("GET", "/metrics/series", 403)


async def test_gzip_is_read_and_never_more_than_the_limit(service: Service) -> None:
    samples = [{"name": "cpu_percent", "host": f"web{n}", "value": n} for n in range(2_000)]
    packed = gzip.compress(msgspec.json.encode({"samples": samples}))
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    answer = await service.sender.ask("POST", "/metrics", content=packed, headers=headers)
    assert (answer.status_code, answer.json()["accepted"]) == (202, 2_000)
    bomb = gzip.compress(b"[" + b" " * 20_000_000)
    await service.sender.refused("POST", "/metrics", 413, content=bomb, headers=headers)


async def test_more_than_ten_thousand_samples_are_too_much_at_once(service: Service) -> None:
    many = {"samples": [{"name": "a_ms", "value": 1}] * 10_001}
    problem = await service.sender.refused("POST", "/metrics", 413, json=many)
    assert "10000" in problem["detail"]
    assert (await service.reader.get("/metrics/series"))["items"] == []


async def test_a_series_too_many_is_refused_by_name(service: Service) -> None:
    service.world.core.history._limit = 1
    answer = await send(service, {"name": "cpu", "value": 1}, {"name": "cpu_percent", "value": 1}, {"name": "load_1m", "value": 1})
    assert answer["accepted"] == 1
    assert [one["index"] for one in answer["rejected"]] == [0, 2]
    assert "TOCSIN_SERIES_LIMIT" in answer["rejected"][1]["errors"][0]["message"]


@pytest.mark.claim("H1", "U3", "A14", "R1", "K3")
async def test_a_query_answers_points_by_time(service: Service) -> None:
    now = service.world.clock.now()
    times = [now - n * MINUTE for n in (3, 2, 1)]
    for host in ("web1", "web2"):
        await send(service, *[{"name": "cpu_percent", "host": host, "value": n, "at": to_text(at)} for n, at in enumerate(times)])
    answer = await service.reader.get("/metrics/query", name="cpu_percent", host="web1")
    assert answer == {
        "series": [
            {
                "name": "cpu_percent",
                "unit": "percent",
                "host": "web1",
                "site": "main",
                "labels": {},
                "step_seconds": None,
                "points": [[at, float(n)] for n, at in enumerate(times)],
                "envelope": None,
            }
        ]
    }
    asked = {"name": "cpu_percent", "from": to_text(times[0]), "to": to_text(times[2]), "step": "1h"}
    both = (await service.reader.get("/metrics/query", **asked))["series"]
    assert [one["host"] for one in both] == ["web1", "web2"]
    assert both[0]["points"] == [[times[0] // HOUR * HOUR, 0.5]]
    assert both[0]["envelope"] == [[0.0, 1.0]]
    high = (await service.reader.get("/metrics/query", **asked, agg="max"))["series"]
    assert (high[0]["points"][0][1], high[0]["envelope"]) == (1.0, None)
    assert (await service.reader.get("/metrics/query", name="load_1m"))["series"] == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("", "name"),
        ("name=cpu%20percent", "name"),
        ("name=a_ms&agg=p42", "agg"),
        ("name=a_ms&step=5", "step"),
        ("name=a_ms&step=0m", "step"),
        ("name=a_ms&step=1s&from=2025-01-01T00:00:00Z", "step"),
        ("name=a_ms&width=0", "width"),
        ("name=a_ms&from=yesterday", "from"),
        ("name=a_ms&from=2999-01-01T00:00:00Z", "from"),
        ("name=a_ms&from=0001-01-01T00:00:00Z", "from"),
        ("name=a_ms&labels=x", "labels"),
        ("name=a_ms&colour=red", "colour"),
    ],
)
async def test_a_wrong_query_is_named(sqlite_service: Service, query: str, field: str) -> None:
    problem = await sqlite_service.reader.refused("GET", f"/metrics/query?{query}", 422)
    assert problem["errors"][0]["field"] == field


async def test_a_query_that_fits_too_many_series_says_so(sqlite_service: Service) -> None:
    await send(sqlite_service, *[{"name": "cpu_percent", "host": f"web{n}", "value": n} for n in range(101)])
    problem = await sqlite_service.reader.refused("GET", "/metrics/query?name=cpu_percent", 422)
    assert "narrow it" in problem["errors"][0]["message"]


@pytest.mark.claim("H6")
async def test_all_samples_can_be_exported_as_csv(service: Service) -> None:
    now = service.world.clock.now()
    await send(
        service,
        {"name": "disk_percent", "host": "=cmd()", "labels": {"mount": "/"}, "value": 81.25, "at": to_text(now - MINUTE)},
        {"name": "disk_percent", "host": "=cmd()", "labels": {"mount": "/"}, "value": 81.5, "at": to_text(now)},
        {"name": "disk_percent", "host": "web1", "value": 3, "at": to_text(now - 3 * DAY)},
        {"name": "orders_total", "value": 7, "site": OTHER_SITE, "at": to_text(now)},
    )
    answer = await service.admin.ask("GET", "/metrics/export.csv", params={"from": to_text(now - 4 * DAY)})
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.text.splitlines() == [
        "site,host,name,labels,at,value",
        f"""main,'=cmd(),disk_percent,"{{""mount"":""/""}}",{to_text(now - MINUTE)},81.25""",
        f"""main,'=cmd(),disk_percent,"{{""mount"":""/""}}",{to_text(now)},81.5""",
        f"main,web1,disk_percent,,{to_text(now - 3 * DAY)},3.0",
        f"{OTHER_SITE},,orders_total,,{to_text(now)},7.0",
    ]
    own = await service.tenant.ask("GET", "/metrics/export.csv")
    assert own.text.splitlines()[1:] == [f"{OTHER_SITE},,orders_total,,{to_text(now)},7.0"]
    day = await service.admin.ask("GET", "/metrics/export.csv", params={"host": "web1"})
    assert len(day.text.splitlines()) == 1


@pytest.mark.claim("H6")
async def test_all_samples_can_be_exported_as_parquet(service: Service, tmp_path: Path) -> None:
    now = service.world.clock.now()
    await send(
        service,
        {"name": "disk_percent", "host": "=cmd()", "labels": {"mount": "/"}, "value": 81.25, "at": to_text(now - MINUTE)},
        {"name": "disk_percent", "host": "web1", "value": 3, "at": to_text(now - 3 * DAY)},
        {"name": "orders_total", "value": 7, "site": OTHER_SITE, "at": to_text(now)},
    )
    answer = await service.admin.ask("GET", "/metrics/export.parquet", params={"from": to_text(now - 4 * DAY)})
    assert answer.headers["content-type"] == "application/vnd.apache.parquet"
    (tmp_path / "file.parquet").write_bytes(answer.content)
    with duckdb.connect() as reader:
        found = reader.execute(
            """SELECT site, host, name, labels, epoch_ms("at"), "value" FROM read_parquet(?)""", [str(tmp_path / "file.parquet")]
        )
        assert found.fetchall() == [
            ("main", "=cmd()", "disk_percent", '{"mount":"/"}', now - MINUTE, 81.25),
            ("main", "web1", "disk_percent", "", now - 3 * DAY, 3.0),
            (OTHER_SITE, "", "orders_total", "", now, 7.0),
        ]
        own = await service.tenant.ask("GET", "/metrics/export.parquet", params={"name": "disk_percent"})
        (tmp_path / "own.parquet").write_bytes(own.content)
        assert reader.execute("SELECT count(*) FROM read_parquet(?)", [str(tmp_path / "own.parquet")]).fetchone() == (0,)


@pytest.mark.claim("H1", "S9")
async def test_series_are_removed_by_name_host_and_labels_and_who_did_it_is_noted(service: Service) -> None:
    mounts = ["/", "/var"]
    await send(service, *[{"name": "disk_percent", "host": h, "labels": {"mount": m}, "value": 1} for h in ("a", "b") for m in mounts])
    await send(service, {"name": "disk_percent", "host": "a", "value": 1, "site": OTHER_SITE})
    problem = await service.admin.ask("DELETE", "/metrics/series", params={"site": "main"})
    assert (problem.status_code, problem.json()["errors"][0]["field"]) == (422, "name")
    assert (await service.reader.ask("DELETE", "/metrics/series", params={"name": "disk_percent"})).status_code == 403
    wanted = {"site": "main", "name": "disk_percent", "host": "a", "labels": "mount=/var"}
    answer = await service.admin.ask("DELETE", "/metrics/series", params=wanted)
    assert answer.json() == {"removed": 1, "more": False}
    assert (await service.admin.ask("DELETE", "/metrics/series", params={"host": "b"})).json() == {"removed": 2, "more": False}
    left = (await service.reader.get("/metrics/series"))["items"]
    assert [(one["site"], one["host"], one["labels"]) for one in left] == [("main", "a", {"mount": "/"}), (OTHER_SITE, "a", {})]
    deeds = service.world.rows(sa.select(tables.audit.c.actor).where(tables.audit.c.action == "history.removed"))
    assert len(deeds) == 2
