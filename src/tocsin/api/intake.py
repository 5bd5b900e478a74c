"""``POST /api/v1/events`` as a bare ASGI callable: the one route where the framework's share of the time would matter."""

import asyncio
import zlib
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import structlog

from tocsin.api.problems import Answer, answer_of, plain_answer
from tocsin.audit.refusals import Refusals
from tocsin.core.clock import Clock
from tocsin.core.errors import FieldError, InvalidInput, NotAllowed, NotAuthenticated, TocsinError, TooLarge, Unavailable
from tocsin.db.writer import Writer
from tocsin.events.decode import Decoded, decode
from tocsin.events.model import MAX_BODY, Rejected
from tocsin.events.signature import verify
from tocsin.identity import rules as key_rules
from tocsin.identity.model import ApiKey, Scope
from tocsin.identity.service import KeyRing, bearer
from tocsin.pipeline.ingest import Batch, Ingest, Taken

log = structlog.get_logger()

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
FindKey = Callable[[bytes, str], Awaitable[ApiKey]]

PATH = "/api/v1/events"
MAX_BACKLOG = 30_000  # events handed to the writer and not yet durable
SMALL = 64 * 1024  # bytes that are unpacked and decoded in the event loop, since a thread would cost more
MAX_MEMBERS = 32  # of a gzip body: each one's end copies what comes after it
_JSON = [(b"content-type", b"application/json")]
_encode = msgspec.json.Encoder().encode


class RejectedOut(msgspec.Struct):
    """One rejected member in the answer."""

    index: int
    id: str | None
    errors: tuple[FieldError, ...]


class Accepted(msgspec.Struct):
    """The answer to a batch: ``ids`` has one entry per input, null where rejected."""

    accepted: int
    duplicates: int
    rejected: list[RejectedOut]
    ids: list[str | None]


class Intake:
    """Checks key, size and signature, decodes, has the batch written, answers after the commit."""

    def __init__(self, writer: Writer, ingest: Ingest, keys: KeyRing, clock: Clock, refusals: Refusals, find_key: FindKey) -> None:
        """*find_key* brings back the key of a header and an address, as on every other route."""
        self._writer, self._take, self._clock, self._refusals, self._find_key = writer, ingest.take, clock, refusals, find_key
        self.recall = keys.recall

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """One request as ASGI. Every answer that is not 202 is a problem document."""
        try:
            answer = await self._accept(scope, receive)
        except Exception as error:  # noqa: BLE001 - whatever it is, the sender must hear that nothing was taken
            answer = _answer_of(error)
        headers = [*answer.headers, (b"content-length", b"%d" % len(answer.body))]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body})

    def take_plain(self, key: ApiKey, body: bytes, respond: Callable[[Answer], None]) -> None:
        """One request of the fast lane: *body* is uncompressed JSON. Calls *respond* once, after the commit."""
        try:
            self._check(key, "")
            decoded = self._read(body, lines=False, key=key)
        except Exception as error:  # noqa: BLE001 - as in __call__
            respond(_answer_of(error))
            return
        batch = Batch(decoded.members, key.site, key.id)
        self._writer.hand_in(self._take, batch, len(decoded.members) or 1, _Reply(decoded, respond))

    def _check(self, key: ApiKey, address: str) -> ApiKey:
        try:
            return key_rules.check(key, Scope.INGEST, self._clock.now())
        except (NotAuthenticated, NotAllowed) as error:
            self._refusals.note(f"key:{key.name}", address, "refused", f"POST {PATH}", error.message)
            raise

    async def _accept(self, scope: dict[str, Any], receive: Receive) -> Answer:
        headers = dict(scope["headers"])
        key = await self._key(headers, scope["client"][0] if scope.get("client") else "")
        lines = _is_ndjson(headers)
        raw = await _read(receive, headers)
        signature = headers.get(b"x-tocsin-signature")
        skew = None
        if signature is not None:
            skew = verify(signature.decode("latin-1"), bearer(headers[b"authorization"]), raw, self._clock.now())
        decoded, future = await self._hand_in_large(await _plain(raw, headers), lines=lines, key=key, skew=skew)
        return _accepted(decoded, await future)

    async def _key(self, headers: dict[bytes, bytes], address: str) -> ApiKey:
        authorization = headers.get(b"authorization", b"")
        key = self.recall(authorization)
        if key is None:
            bearer(authorization)
            try:
                key = await self._find_key(authorization, address)
            except NotAuthenticated as error:
                self._refusals.note("nobody", address, "refused", f"POST {PATH}", error.message)
                raise
        return self._check(key, address)

    async def _hand_in_large(self, body: bytes, *, lines: bool, key: ApiKey, skew: int | None) -> "_HandedIn":
        """As `_hand_in`, but naming all that is wrong in a large body (up to a second's work) holds up nobody else."""
        if len(body) <= SMALL:
            return self._hand_in(body, lines=lines, key=key, skew=skew)
        self._refuse_if_full()
        try:
            decoded = await asyncio.to_thread(decode, body, lines=lines, site=key.site, now=self._clock.now())
        except InvalidInput as error:
            self._keep_unreadable(body, error, key)
            raise
        return self._queue(decoded, key, skew)

    def _hand_in(self, body: bytes, *, lines: bool, key: ApiKey, skew: int | None) -> "_HandedIn":
        return self._queue(self._read(body, lines=lines, key=key), key, skew)

    def _read(self, body: bytes, *, lines: bool, key: ApiKey) -> Decoded:
        """What is not readable at all goes to quarantine, in the background."""
        self._refuse_if_full()
        try:
            return decode(body, lines=lines, site=key.site, now=self._clock.now())
        except InvalidInput as error:
            self._keep_unreadable(body, error, key)
            raise

    def _refuse_if_full(self) -> None:
        if self._writer.backlog > MAX_BACKLOG:
            raise Unavailable("the intake is full: more arrives than can be stored", retry_after=1)

    def _keep_unreadable(self, body: bytes, error: InvalidInput, key: ApiKey) -> None:
        lost = self._writer.submit(self._take, Batch([Rejected(0, None, error.errors, body)], key.site, key.id))
        lost.add_done_callback(lambda done: done.exception())

    def _queue(self, decoded: Decoded, key: ApiKey, skew: int | None) -> "_HandedIn":
        batch = Batch(decoded.members, key.site, key.id, skew)
        return decoded, self._writer.submit(self._take, batch, len(decoded.members) or 1)


_HandedIn = tuple[Decoded, "asyncio.Future[Taken]"]


class _Reply:
    """Stands where the writer expects a future: the answer goes out in the very turn of the event loop that learns of the commit."""

    __slots__ = ("_decoded", "_respond")

    def __init__(self, decoded: Decoded, respond: Callable[[Answer], None]) -> None:
        self._decoded, self._respond = decoded, respond

    def done(self) -> bool:
        """Nobody calls it off."""
        return False

    def set_result(self, taken: Taken) -> None:
        """The events are durable."""
        self._send(_accepted(self._decoded, taken))

    def set_exception(self, error: BaseException) -> None:
        """They are not."""
        self._send(_answer_of(error))

    def _send(self, answer: Answer) -> None:
        try:
            self._respond(answer)
        except Exception:  # the others who wait for the same commit are to hear of it all the same
            log.exception("an answer could not be sent")


class _Refused(Exception):
    """An answer decided before the body was looked at."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


def _answer_of(error: BaseException | None) -> Answer:
    if isinstance(error, _Refused):
        return error.answer
    if isinstance(error, TocsinError):
        return answer_of(error)
    log.error("intake failed", exc_info=error)
    return plain_answer(500, "A fault of ours", "It is in the log. Nothing was taken.")


def _accepted(decoded: Decoded, taken: Taken) -> Answer:
    rejected = [RejectedOut(m.index, m.id, m.errors) for m in decoded.members if isinstance(m, Rejected)] if None in taken.ids else []
    if rejected and decoded.single:
        return answer_of(InvalidInput(rejected[0].errors))
    return Answer(202, _JSON, _encode(Accepted(taken.accepted, taken.duplicates, rejected, taken.ids)))


def _is_ndjson(headers: dict[bytes, bytes]) -> bool:
    kind = headers.get(b"content-type", b"application/json")
    if kind == b"application/json":
        return False
    media = kind.partition(b";")[0].strip().lower()
    if media == b"application/x-ndjson":
        return True
    if media != b"application/json":
        raise _Refused(
            plain_answer(
                415, "Not a content type that is read here", "Send application/json (an object or an array) or application/x-ndjson"
            )
        )
    return False


async def _read(receive: Receive, headers: dict[bytes, bytes]) -> bytes:
    length = headers.get(b"content-length")
    if length is not None and length.isdigit() and int(length) > MAX_BODY:
        raise _too_large(int(length))
    message = await receive()
    body: bytes = message.get("body", b"")
    if not message.get("more_body"):
        return body
    chunks, size = [body], len(body)
    while message.get("more_body"):
        message = await receive()
        if message["type"] == "http.disconnect":
            raise InvalidInput.of("body", "ended before it was complete")
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        if size > MAX_BODY:
            raise _too_large(size)
    return b"".join(chunks)


async def _plain(body: bytes, headers: dict[bytes, bytes]) -> bytes:
    encoding = headers.get(b"content-encoding", b"identity").strip().lower()
    if encoding in (b"", b"identity"):
        return body
    if encoding != b"gzip":
        raise _Refused(plain_answer(415, "Not an encoding that is read here", "Send the body as it is, or with Content-Encoding: gzip"))
    return await asyncio.to_thread(unzip, body) if len(body) > SMALL else unzip(body)


def unzip(body: bytes) -> bytes:
    """The content of a gzip *body*, never holding more than the limit. Raises `TooLarge`, `InvalidInput`."""
    parts, size, rest = [], 0, body
    for _ in range(MAX_MEMBERS):
        stream = zlib.decompressobj(wbits=31)
        try:
            parts.append(stream.decompress(rest, MAX_BODY + 1 - size))
        except zlib.error as error:
            raise InvalidInput.of("body", f"is not gzip: {error}") from None
        size += len(parts[-1])
        if size > MAX_BODY:
            raise _too_large(size)
        if not stream.eof:
            raise InvalidInput.of("body", "is cut short: the gzip data has no end")
        rest = stream.unused_data
        if not rest:
            return b"".join(parts)
    raise InvalidInput.of("body", f"is made of more than {MAX_MEMBERS} gzip files one after the other; pack it as one")


def _too_large(size: int) -> TooLarge:
    return TooLarge(f"the body has {size} bytes or more; at most {MAX_BODY} (8 MiB, unpacked) are taken in one request")
