"""One HTTP/1.1 exchange over a connection that a check has made, with the time of the first byte; every size is bounded."""

import zlib
from collections.abc import Callable, Sequence

import httptools
import msgspec

from tocsin.core.text import cut, one_line
from tocsin.net.dial import Line, Trace

MAX_HEAD = 64 * 1024
CHUNK = 32 * 1024


class NotHttp(Exception):
    """What came back is no HTTP, or none that ends; the text says what it is."""


class Reply(msgspec.Struct, frozen=True):
    """An answer. ``is_cut``: the body was longer than the limit, and the rest was not waited for."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    is_cut: bool

    def header(self, name: str) -> str:
        """The first header of this name, or an empty text."""
        return next((value for key, value in self.headers if key.lower() == name), "")


async def exchange(
    line: Line,
    method: str,
    path: str,
    headers: Sequence[tuple[str, str]],
    body: bytes | None,
    limit: int,
    trace: Trace,
    begun: Callable[[Reply], None] = lambda _: None,
) -> Reply:
    """Sends a request and reads the answer, at most *limit* bytes of its body. Raises `NotHttp` and `OSError`.

    *begun* is told what there is of an answer that does not end, however that is.
    """
    head = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers)]
    if body is not None:
        head.append(f"Content-Length: {len(body)}")
    line.writer.write("\r\n".join([*head, "Connection: close", "", ""]).encode("latin-1") + (body or b""))
    trace.note(f"> {method} {path}")
    reader = _Reader(limit, has_no_body=method == "HEAD")
    try:
        with trace.phase("first byte"):
            data = await line.reader.read(CHUNK)
        with trace.phase("body"):
            while data and reader.feed(data):
                data = await line.reader.read(CHUNK)
        reply = reader.end()
    except BaseException:
        if reader.has_head:
            begun(reader.so_far())
        raise
    trace.note(f"< {reply.status}, {len(reply.body)} bytes{' and more' if reply.is_cut else ''}")
    return reply


class _Reader:
    """Collects an answer; `feed` says whether more is wanted."""

    def __init__(self, limit: int, *, has_no_body: bool) -> None:
        self._limit, self._has_no_body = limit, has_no_body
        self._parser = httptools.HttpResponseParser(self)
        self._headers: list[tuple[str, str]] = []
        self._body = bytearray()
        self._status = self._received = 0
        self._head_bytes = 0
        self._first = b""
        self._has_head = self._is_done = self._is_cut = False

    def feed(self, data: bytes) -> bool:
        self._first = self._first or data[:200]
        if not self._has_head:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            if not self._is_done:
                raise NotHttp(self._what_it_is()) from None
        if not self._has_head and self._head_bytes > MAX_HEAD:
            raise NotHttp(f"its headers are longer than {MAX_HEAD // 1024} KiB")
        return not (self._is_done or self._is_cut)

    def end(self) -> Reply:
        if not self._has_head:
            raise NotHttp(self._what_it_is() if self._first else "it closed the connection without an answer")
        is_whole = self._is_done or self._is_cut or not self._says_its_length()
        if not is_whole:
            raise NotHttp(f"it broke off after {len(self._body)} bytes of its answer")
        return self.so_far()

    @property
    def has_head(self) -> bool:
        """Whether status and headers are there."""
        return self._has_head

    def so_far(self) -> Reply:
        """What there is of the answer."""
        return Reply(self._status, tuple(self._headers), self._unpacked(), self._is_cut)

    def _says_its_length(self) -> bool:
        return any(name.lower() in ("content-length", "transfer-encoding") for name, _ in self._headers)

    def _what_it_is(self) -> str:
        return f"what answers there does not speak HTTP: {cut(one_line(self._first.decode('latin-1')), 80)!r}"

    def _unpacked(self) -> bytes:
        """The body as it is meant; never more than the limit, however well it was packed."""
        kinds = {value.strip().lower() for name, value in self._headers if name.lower() == "content-encoding"}
        if not kinds & {"gzip", "deflate"}:
            return bytes(self._body)
        try:
            unpacker = zlib.decompressobj(zlib.MAX_WBITS | 32)
            return unpacker.decompress(bytes(self._body), self._limit)
        except zlib.error:
            return bytes(self._body)

    # httptools calls these.

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.decode("latin-1"), value.decode("latin-1")))

    def on_headers_complete(self) -> None:
        self._status = self._parser.get_status_code()
        if self._status < 200:
            self._headers.clear()
            return
        self._has_head = True
        self._is_done = self._has_no_body

    def on_body(self, body: bytes) -> None:
        self._received += len(body)
        self._body += body[: max(0, self._limit - len(self._body))]
        self._is_cut = self._received > self._limit

    def on_message_complete(self) -> None:
        self._is_done = self._has_head
