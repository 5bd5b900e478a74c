"""What bad input gets at the intake: the right status, a problem document that names the field, nothing stored but quarantine."""

import asyncio
import gzip
import hashlib
import hmac
import json
import zlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from time import process_time
from typing import Any

import httpx
import msgspec
import pytest

from tests.api.lanes import ORDINARY, PLAIN, Lanes
from tests.api.service import OTHER_SITE, Caller, Service
from tests.fakes import NOW
from tests.world import World
from tocsin.api import intake as intake_module
from tocsin.core.clock import DAY, MINUTE
from tocsin.db import tables
from tocsin.identity.model import Scope

GOOD = {"type": "disk.full", "host": "web3"}
NDJSON = "application/x-ndjson"
MIB = 1024 * 1024


def an_event(**changes: Any) -> bytes:
    return json.dumps({**GOOD, **changes}).encode()


def with_bytes(raw: bytes) -> bytes:
    """An event whose title holds *raw*, as it is."""
    return b'{"type": "disk.full", "title": "' + raw + b'"}'


# What is wrong -> the body, and the field that the answer names.
BAD: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "body"),
    "JSON that breaks off": (b'{"type": "disk.full"', "body"),
    "no JSON at all": (b"type=disk.full", "body"),
    "a number": (b"42", "body"),
    "nothing but null": (b"null", "body"),
    "no type": (b"{}", "type"),
    "a type of the wrong kind": (an_event(type=5), "type"),
    "a type with capitals": (an_event(type="Disk.Full"), "type"),
    "an unknown field": (an_event(hots="web3"), "hots"),
    "a severity in words": (an_event(severity="high"), "severity"),
    "a severity of 6": (an_event(severity=6), "severity"),
    "a severity beyond all numbers": (b'{"type": "disk.full", "severity": %s}' % (b"9" * 5000), "severity"),
    "a title that is a number": (an_event(title=5), "title"),
    "a status that is none": (an_event(status="bad"), "status"),
    "attributes that are a list": (an_event(attributes=[1]), "attributes"),
    "attributes of 17 KiB": (an_event(attributes={"a": "x" * 17 * 1024}), "attributes"),
    "attributes nested too deeply": (b'{"type": "disk.full", "attributes": %s1%s}' % (b'{"a":' * 2500, b"}" * 2500), "body"),
    "an attribute beyond all numbers": (b'{"type": "disk.full", "attributes": {"a": 1e999}}', "attributes"),
    "a host of 300 letters": (an_event(host="x" * 300), "host"),
    "a subject of 201 letters": (an_event(subject="x" * 201), "subject"),
    "a message of 4001 letters": (an_event(message="x" * 4001), "message"),
    "a dedup_key of 256 letters": (an_event(dedup_key="x" * 256), "dedup_key"),
    "a source of 101 letters": (an_event(source="x" * 101, sequence=1), "source"),
    "a sequence of 0": (an_event(source="x", sequence=0), "sequence"),
    "an id that is no UUID": (an_event(id="17"), "id"),
    "a site that cannot be one": (an_event(site="Main Street"), "site"),
    "a time without a zone": (an_event(occurred_at="2025-11-25T00:00:00"), "occurred_at"),
    "a time as a number": (an_event(occurred_at=1764028800), "occurred_at"),
    "a time that is none": (an_event(occurred_at="yesterday"), "occurred_at"),
    "1970": (an_event(occurred_at="1970-01-01T00:00:00Z"), "occurred_at"),
    "2100": (an_event(occurred_at="2100-01-01T00:00:00Z"), "occurred_at"),
    "bytes that are no UTF-8": (with_bytes(b"\xff\xfe"), "title"),
    "half a character": (with_bytes(b"\xe2\x82"), "title"),
    "a NUL as an escape": (with_bytes(b"a\\u0000b"), "title"),
    "a NUL in an attribute": (an_event(attributes={"a": ["\0"]}), "attributes"),
    "a NUL in the name of a field": (b'{"type": "disk.full", "a\\u0000b": 1}', "a b"),
    "a NUL byte": (with_bytes(b"a\0b"), "body"),
    "half a surrogate pair": (with_bytes(b"\\ud800"), "body"),
}
# These are too large for the short way.
HUGE: dict[str, tuple[bytes, str]] = {
    **{
        f"a {name} of 1 MB": (an_event(**{name: "x" * MIB}), name) for name in ("type", "id", "site", "title", "message", "subject", "host")
    },
    "attributes of 1 MB": (an_event(attributes={"a": "x" * MIB}), "attributes"),
    "a field whose name has 1 MB": (b'{"type": "disk.full", "%s": 1}' % (b"x" * MIB), "x" * 59 + "…"),
    "half a million unknown fields": (b'{"type": "disk.full", ' + b", ".join(b'"%x": 1' % n for n in range(500_000)) + b"}", "body"),
    "a million brackets": (b"[" * MIB, "body"),
    "8 MiB of one number": (b'{"type": "disk.full", "sequence": ' + b"9" * (8 * MIB - 40) + b"}", "sequence"),
}


def fields_of(answer: httpx.Response) -> set[str]:
    """The fields that a problem document names, once it is seen to be one."""
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == answer.status_code
    assert problem["title"]
    assert problem["detail"]
    assert len(answer.content) < 64 * 1024, "an answer need not be longer than the question"
    assert all(error["message"] for error in problem.get("errors", ()))
    return {error["field"] for error in problem.get("errors", ())}


def stored(world: World) -> dict[str, int]:
    counted = (tables.events, tables.alerts, tables.alert_history, tables.outbox, tables.quarantine)
    return {table.name: world.count(table) for table in counted}


NOTHING = {"events": 0, "alerts": 0, "alert_history": 0, "outbox": 0, "quarantine": 0}


async def kept(world: World, count: int) -> None:
    """Waits for quarantine: what is not readable at all is put there after the answer."""
    for _ in range(200):
        if world.count(tables.quarantine) == count:
            break
        await asyncio.sleep(0.02)
    assert stored(world) == NOTHING | {"quarantine": count}


@pytest.fixture
async def both(service: Service) -> AsyncIterator[Lanes]:
    """Behind the real HTTP server, on each kind of database."""
    async with Lanes.open(service) as lanes:
        yield lanes


@pytest.mark.claim("E8", "S4")
@pytest.mark.parametrize("kind", [PLAIN, ORDINARY], ids=["the short way", "the ordinary way"])
async def test_an_event_that_cannot_be_taken_is_named_by_field_and_kept_in_quarantine(
    both: Lanes, kind: str, subtests: pytest.Subtests
) -> None:
    sender, world = both.service.sender, both.service.world
    both.service.server.keys.look_up(sender.headers["Authorization"].encode())
    for name, (body, field) in BAD.items():
        with subtests.test(name):
            answer = await both.post(sender, body, kind)
            assert answer.status_code == 422, answer.text
            assert field in fields_of(answer)
    assert len(both.short) == (len(BAD) if kind == PLAIN else 0)
    await kept(world, len(BAD))
    items = (await both.service.admin.get("/quarantine"))["items"]
    assert len(items) == len(BAD)
    assert (await both.post(sender, an_event(), kind)).status_code == 202


@pytest.mark.claim("E8", "S4")
async def test_an_event_beyond_all_measure_is_refused_just_so_and_holds_up_nobody(lanes: Lanes, subtests: pytest.Subtests) -> None:
    sender, world = lanes.service.sender, lanes.service.world
    for name, (body, field) in HUGE.items():
        with subtests.test(name):
            answer = await lanes.post(sender, body)
            assert answer.status_code == 422, answer.text[:2000]
            assert field in fields_of(answer)
    await kept(world, len(HUGE))
    assert (await lanes.post(sender, an_event())).status_code == 202


@pytest.mark.claim("E8")
@pytest.mark.parametrize("kind", [PLAIN, ORDINARY, NDJSON])
async def test_of_a_batch_the_good_half_is_taken_and_the_bad_half_named_and_kept(both: Lanes, kind: str) -> None:
    sender, world = both.service.sender, both.service.world
    bad = [body for body, _ in BAD.values() if body and (kind == NDJSON or _is_json(body))]
    good = [an_event(host=f"web{n}") for n in range(len(bad))]
    members = [body for pair in zip(good, bad, strict=True) for body in pair]
    answer = await both.post(sender, b"\n".join(members) if kind == NDJSON else b"[" + b",".join(members) + b"]", kind)
    assert answer.status_code == 202, answer.text
    said = answer.json()
    assert (said["accepted"], said["duplicates"]) == (len(good), 0)
    assert [entry["index"] for entry in said["rejected"]] == list(range(1, len(members), 2))
    assert all(entry["errors"] for entry in said["rejected"])
    assert [one is None for one in said["ids"]] == [False, True] * len(bad)
    assert world.count(tables.events) == world.count(tables.alerts) == len(good)
    assert world.count(tables.quarantine) == len(bad)


def _is_json(body: bytes) -> bool:
    try:
        msgspec.json.decode(body)
    except (ValueError, RecursionError):
        return False
    return True


@pytest.mark.claim("S4")
async def test_too_much_at_once_is_refused_whole(lanes: Lanes, subtests: pytest.Subtests) -> None:
    sender, world = lanes.service.sender, lanes.service.world
    line = b'{"type": "disk.full"}\n'
    for name, body, kind in (
        ("10,001 lines", line * 10_001, NDJSON),
        ("a million blank lines", b"\n" * MIB, NDJSON),
        ("an array of 1,001", b"[" + b",".join([line] * 1_001) + b"]", PLAIN),
        ("more than 8 MiB", b" " * (8 * MIB + 1), PLAIN),
        ("10,001 lines, each wrong", b"{}\n" * 10_001, NDJSON),
    ):
        with subtests.test(name):
            answer = await lanes.post(sender, body, kind)
            assert answer.status_code == 413, answer.text
            fields_of(answer)
    assert stored(world) == NOTHING
    answer = await lanes.post(sender, line * 10_000, NDJSON)
    assert answer.json()["accepted"] == 10_000


@pytest.mark.claim("S4")
async def test_a_body_that_never_ends_is_cut_off_at_the_limit(lanes: Lanes) -> None:
    """Sent in pieces, without saying how long it will be."""

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(200):
            yield b" " * 128 * 1024

    headers = {**lanes.service.sender.headers, "Content-Type": PLAIN}
    answer = await lanes.client.post("/api/v1/events", content=pieces(), headers=headers)
    assert answer.status_code == 413
    assert stored(lanes.service.world) == NOTHING


# Compression.


def bomb() -> bytes:
    """1 GiB in 1 MB: a piece that refers to nothing before it, over and over."""
    packer = zlib.compressobj(9, wbits=31)
    first, piece = (packer.compress(bytes(16 * MIB)) + packer.flush(zlib.Z_FULL_FLUSH) for _ in range(2))
    return first + piece * 63 + packer.flush()


def unreadable() -> dict[str, tuple[bytes, int]]:
    """Bodies that are no good gzip, and what each is answered."""
    gzipped = gzip.compress(an_event())
    return {
        "no gzip": (an_event(), 422),
        "nothing": (b"", 422),
        "gzip that breaks off": (gzipped[:-10], 422),
        "gzip with a wrong check sum": (gzipped[:-8] + b"abcd" + gzipped[-4:], 422),
        "gzip with something after it": (gzipped + b"something", 422),
        "a bomb": (bomb(), 413),
        "a hundred thousand empty files": (gzip.compress(b"", mtime=0) * 100_000, 422),
        "gzip within gzip": (gzip.compress(gzipped), 422),
    }


@pytest.mark.claim("S4")
async def test_gzip_that_cannot_be_unpacked_is_refused_within_a_moment(lanes: Lanes, subtests: pytest.Subtests) -> None:
    sender, world = lanes.service.sender, lanes.service.world
    for name, (body, status) in unreadable().items():
        with subtests.test(name):
            began = process_time()  # client and server: both are this process, and others may have the machine
            answer = await lanes.post(sender, body, **{"Content-Encoding": "gzip"})
            assert answer.status_code == status, answer.text
            assert status == 413 or "body" in fields_of(answer)
            assert process_time() - began < 5
    assert stored(world)["events"] == 0
    assert (await lanes.post(sender, an_event())).status_code == 202


@pytest.mark.claim("E8")
async def test_gzip_in_several_parts_is_read_to_its_end(lanes: Lanes) -> None:
    """As two files one after the other are one file, for gzip: what comes second must not be lost in silence."""
    parts = [gzip.compress(an_event(host=f"web{n}") + b"\n") for n in range(3)]
    answer = await lanes.post(lanes.service.sender, b"".join(parts), NDJSON, **{"Content-Encoding": "gzip"})
    assert answer.status_code == 202
    assert answer.json()["accepted"] == 3


def test_unpacking_never_holds_more_than_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    real = zlib.decompressobj

    class Watched:
        def __init__(self, wbits: int) -> None:
            self._real = real(wbits=wbits)

        def decompress(self, data: bytes, most: int) -> bytes:
            asked.append(most)
            return self._real.decompress(data, most)

        def __getattr__(self, name: str) -> Any:
            return getattr(self._real, name)

    monkeypatch.setattr("tocsin.api.intake.zlib.decompressobj", Watched)
    assert len(intake_module.unzip(gzip.compress(b"x" * MIB) * 4)) == 4 * MIB
    assert asked == [8 * MIB + 1 - n * MIB for n in range(4)]
    assert 0 not in asked, "which would mean: without a limit"


async def test_an_unknown_encoding_or_kind_is_not_guessed_at(lanes: Lanes, subtests: pytest.Subtests) -> None:
    sender = lanes.service.sender
    for name, headers in (
        ("brotli", {"kind": PLAIN, "Content-Encoding": "br"}),
        ("a form", {"kind": "application/x-www-form-urlencoded"}),
        ("XML", {"kind": "text/xml"}),
        ("a kind that is none", {"kind": "nonsense"}),
    ):
        with subtests.test(name):
            answer = await lanes.post(sender, an_event(), **headers)
            assert answer.status_code == 415
            fields_of(answer)
    assert stored(lanes.service.world) == NOTHING


# Keys.


@pytest.mark.claim("S3", "B3")
async def test_only_a_good_key_for_this_may_send(both: Lanes, subtests: pytest.Subtests) -> None:
    service = both.service
    expired = await service.key("old", Scope.INGEST, expires_in=DAY)
    assert (await both.post(expired, an_event(host="before"))).status_code == 202
    await service.world.settle()
    service.world.clock.advance(DAY)
    strangers = {
        "no key": (service.nobody, 401),
        "a key that nobody knows": (Caller(service.client, "tocsin_" + "x" * 43), 401),
        "not a key but a word": (Caller(service.client, "?"), 401),
        "a key of 64 KB": (Caller(service.client, "tocsin_" + "x" * 60_000), 401),
        "a key with letters beyond ASCII": (Caller(service.client, "tocsin_ü"), 401),
        "an expired key": (expired, 401),
        "a key that may only read": (service.reader, 403),
        "a key that may only act": (service.writer, 403),
    }
    before = stored(service.world)
    for name, (caller, status) in strangers.items():
        with subtests.test(name):
            headers = [(name.encode(), value.encode("latin-1")) for name, value in {**caller.headers, "Content-Type": PLAIN}.items()]
            answer = await both.client.post("/api/v1/events", content=an_event(), headers=headers)
            assert answer.status_code == status, answer.text
            assert fields_of(answer) == set()
            assert (answer.headers.get("www-authenticate") == "Bearer") == (status == 401)
    assert stored(service.world) == before


@pytest.mark.claim("S3", "O5")
async def test_a_key_of_one_site_sends_for_that_site_alone(both: Lanes) -> None:
    sender = await both.service.key("kiez", Scope.INGEST, site=OTHER_SITE)
    answer = await both.post(sender, an_event(site="main"))
    assert answer.status_code == 422
    assert fields_of(answer) == {"site"}
    assert (await both.post(sender, an_event(site=OTHER_SITE))).status_code == 202
    assert (await both.post(sender, an_event(host="web4"))).status_code == 202
    items = (await both.service.tenant.get("/alerts"))["items"]
    assert [alert["site"] for alert in items] == [OTHER_SITE, OTHER_SITE]


# Signatures.

Forge = Callable[[str, bytes, int], str]


def signed(secret: str, body: bytes, seconds: int) -> str:
    mac = hmac.new(secret.encode(), f"{seconds}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={seconds},v1={mac}"


FORGED: dict[str, Forge] = {
    "of another body": lambda secret, body, now: signed(secret, body + b" ", now),
    "under another key": lambda secret, body, now: signed(secret + "x", body, now),
    "of another moment": lambda secret, body, now: signed(secret, body, now).replace(f"t={now}", f"t={now - 1}"),
    "six minutes old": lambda secret, body, now: signed(secret, body, now - 6 * 60),
    "from the future": lambda secret, body, now: signed(secret, body, now + 6 * 60),
    "of 1970": lambda secret, body, now: signed(secret, body, 0),
    "without a moment": lambda secret, body, now: signed(secret, body, now).partition(",")[2],
    "in capitals": lambda secret, body, now: signed(secret, body, now).replace("v1=", "v1=").upper(),
    "with a moment that is no number": lambda secret, body, now: signed(secret, body, now).replace(f"t={now}", "t=now"),
    "with Arabic digits": lambda secret, body, now: signed(secret, body, now).replace(f"t={now}", "t=\u0661"),
    "empty": lambda secret, body, now: "",
    "64 KB long": lambda secret, body, now: "t=1,v1=" + "0" * 50_000,
}


@pytest.mark.claim("E3")
async def test_a_signature_that_is_wrong_or_old_is_refused_and_a_good_one_is_not(lanes: Lanes, subtests: pytest.Subtests) -> None:
    sender, world = lanes.service.sender, lanes.service.world
    secret, now, body = sender.headers["Authorization"].removeprefix("Bearer "), NOW // 1000, an_event()
    for name, forge in FORGED.items():
        with subtests.test(name):
            headers = {**sender.headers, "Content-Type": PLAIN, "X-Tocsin-Signature": forge(secret, body, now)}
            raw = [(key.encode(), value.encode()) for key, value in headers.items()]
            answer = await lanes.client.post("/api/v1/events", content=body, headers=raw)
            assert answer.status_code == 401, answer.text
            fields_of(answer)
    assert stored(world) == NOTHING
    for seconds in (now, now - 299, now + 299):
        answer = await lanes.post(sender, body, **{"X-Tocsin-Signature": signed(secret, body, seconds)})
        assert answer.status_code == 202, answer.text
    assert lanes.short == [], "a signature is never passed by"


async def test_the_signature_is_that_of_the_packed_body(lanes: Lanes) -> None:
    sender, body = lanes.service.sender, gzip.compress(an_event())
    secret = sender.headers["Authorization"].removeprefix("Bearer ")
    headers = {"X-Tocsin-Signature": signed(secret, body, NOW // 1000), "Content-Encoding": "gzip"}
    assert (await lanes.post(sender, body, **headers)).status_code == 202


# Too much for the writer.


@pytest.mark.claim("S4", "X7")
@pytest.mark.parametrize("kind", [PLAIN, ORDINARY], ids=["the short way", "the ordinary way"])
async def test_when_more_comes_than_can_be_stored_the_intake_says_so_and_takes_nothing(
    lanes: Lanes, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sender, world = lanes.service.sender, lanes.service.world
    lanes.service.server.keys.look_up(sender.headers["Authorization"].encode())
    monkeypatch.setattr(intake_module, "MAX_BACKLOG", -1)
    answer = await lanes.post(sender, an_event(), kind)
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    fields_of(answer)
    monkeypatch.undo()
    assert stored(world) == NOTHING
    assert (await lanes.post(sender, an_event(), kind)).status_code == 202


async def test_a_sender_that_goes_away_in_the_middle_harms_nobody(lanes: Lanes) -> None:
    """Before the body is complete, and while it is being stored."""
    host, port = lanes.client.base_url.host, lanes.client.base_url.port
    head = f"POST /api/v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: {lanes.service.sender.headers['Authorization']}\r\n"
    head += f"Content-Type: {PLAIN}\r\nContent-Length: {len(an_event())}\r\n\r\n"
    for body in (an_event()[:10], an_event(), b""):
        for _ in range(2):
            _, writer = await asyncio.open_connection(host, port)
            writer.write(head.encode() + body)
            await writer.drain()
            writer.transport.abort()
    await asyncio.sleep(0.05)
    answer = await lanes.post(lanes.service.sender, an_event())
    assert answer.status_code == 202
    assert lanes.service.world.count(tables.alerts) == 1


async def test_a_clock_a_minute_off_is_taken_and_seen(lanes: Lanes) -> None:
    sender = lanes.service.sender
    secret, body = sender.headers["Authorization"].removeprefix("Bearer "), an_event(source="whmcs-1", sequence=7)
    headers = {"X-Tocsin-Signature": signed(secret, body, (NOW - MINUTE) // 1000)}
    assert (await lanes.post(sender, body, **headers)).status_code == 202
    (source,) = (await lanes.service.reader.get("/sources"))["items"]
    assert (source["source"], source["skew_ms"]) == ("whmcs-1", -MINUTE)


@pytest.fixture(autouse=True)
def _no_fault_of_ours(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Any:
    """Whatever comes in, nothing of it is a fault of ours."""
    yield
    said = capfd.readouterr()
    assert "Traceback" not in said.out + said.err
