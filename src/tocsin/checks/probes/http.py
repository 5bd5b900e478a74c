"""http: a request, and whether its answer is what it should be."""

import json
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

from tocsin.checks import rules
from tocsin.checks.model import Cause, Expiry, Finding, HttpTarget, is_secret
from tocsin.checks.probes import certificates
from tocsin.checks.probes.kit import Kit
from tocsin.core.text import cut, one_line
from tocsin.net.dial import DialFault, Fault, Line
from tocsin.net.exchange import NotHttp, Reply, exchange

EVIDENCE = 4 * 1024  # bytes of a body that are kept
SMALL, LARGE = 64 * 1024, 1024 * 1024  # how much of a body is read: where nothing is looked for in it, and where something is
MAX_HEADERS = 40
_SAFE = "%/?:=&~#+!$,;'@()*[]|"  # what may stand in a path as it is
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_NOT_SHOWN = ("set-cookie",)


class _Hop:
    """One request of a chain of redirects."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.url, self.is_secure = url, parts.scheme.lower() == "https"
        self.host, self.port = parts.hostname or "", parts.port or (443 if self.is_secure else 80)
        self.path = quote((parts.path or "/") + (f"?{parts.query}" if parts.query else ""), safe=_SAFE, encoding="latin-1")
        usual = self.port == (443 if self.is_secure else 80)
        name = f"[{self.host}]" if ":" in self.host else self.host
        self.authority = name if usual else f"{name}:{self.port}"

    def is_at(self, first: "_Hop") -> bool:
        """Whether it goes where *first* went, or there by HTTPS instead: never back to what can be listened to."""
        if self.host != first.host or self.port not in (first.port, 443):
            return False
        return self.is_secure or not first.is_secure


async def probe(target: HttpTarget, kit: Kit) -> Finding:
    """Asks, follows redirects, and judges the last answer. Raises `DialFault`."""
    try:
        reply, evidence, expiry = await _last(target, kit)
    except _Unwanted as error:
        return error.finding
    return judged(target, reply, kit, evidence, expiry)


async def fetch(target: HttpTarget, kit: Kit) -> Reply | None:
    """The last answer, whatever it says; None where there is none. Raises `DialFault`."""
    try:
        return (await _last(target, kit))[0]
    except _Unwanted:
        return None


async def _last(target: HttpTarget, kit: Kit) -> tuple[Reply, dict[str, Any], Expiry | None]:
    """The answer at the end of all redirects, its evidence, and when its certificate ends. Raises `_Unwanted`, `DialFault`."""
    hop, method, body = _Hop(target.url), target.method, None if target.body is None else target.body.encode()
    first, seen = hop, {target.url}
    expiry: Expiry | None = None
    evidence: dict[str, Any] = {}
    for _ in range(target.redirects + 1):
        try:
            reply, facts, expiry = await _ask(hop, target, method, body, kit, goes_home=hop.is_at(first))
        except NotHttp as error:
            cause = Cause.BROKE_OFF if "broke off" in str(error) else Cause.PROTOCOL
            raise _Unwanted(kit.failed(cause, str(error), {"url": hop.url})) from None
        kit.so_far = evidence = {"url": hop.url, **shown(reply), **facts}
        where = reply.header("location")
        if reply.status not in _REDIRECTS or not where or target.redirects == 0:
            return reply, evidence, expiry
        url = _next(hop.url, where, seen, kit, evidence, expiry)
        seen.add(url)
        if reply.status in (301, 302, 303) and method != "HEAD":
            method, body = "GET", None
        hop = _Hop(url)
    raise _Unwanted(kit.failed(Cause.REDIRECTS, f"it redirects more than {target.redirects} times", evidence, expiry))


def _next(url: str, where: str, seen: set[str], kit: Kit, evidence: dict[str, Any], expiry: Expiry | None) -> str:
    """Where a redirect leads. Raises `_Unwanted` for a circle, and for what is no web address."""
    try:
        target = urljoin(url, where)
        parts = urlsplit(target)
        is_web = parts.scheme in ("http", "https") and (parts.hostname or "").isascii() and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        is_web = False
    if not is_web:
        words = f"it redirects to what is no web address: {cut(one_line(where), 80)!r}"
        raise _Unwanted(kit.failed(Cause.REDIRECTS, words, evidence, expiry))
    kit.trace.note(f"redirected to {target}")
    if target in seen:
        raise _Unwanted(kit.failed(Cause.REDIRECTS, f"it redirects in a circle, back to {cut(target, 120)}", evidence, expiry))
    return target


class _Unwanted(Exception):
    """There is no answer to judge; what was found instead."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.words)
        self.finding = finding


async def _ask(
    hop: _Hop, target: HttpTarget, method: str, body: bytes | None, kit: Kit, *, goes_home: bool
) -> tuple[Reply, dict[str, Any], Expiry | None]:
    line = await kit.connect(hop.host, hop.port)
    try:
        facts, expiry = await _secured(line, hop, target, kit) if hop.is_secure else ({}, None)
        limit = LARGE if target.keyword or target.no_keyword or target.json_path else SMALL
        headers = _headers(hop, target, goes_home=goes_home)

        def begun(part: Reply) -> None:
            kit.so_far = {"url": hop.url, **shown(part), **facts}

        kit.so_far = {**kit.so_far, **facts}
        reply = await exchange(line, method, hop.path, headers, body, limit, kit.trace, begun)
        return reply, facts, expiry
    except OSError:
        raise DialFault(Fault.BROKE_OFF, f"the connection was closed during the {kit.trace.at or 'request'}") from None
    finally:
        line.close()


async def _secured(line: Line, hop: _Hop, target: HttpTarget, kit: Kit) -> tuple[dict[str, Any], Expiry | None]:
    try:
        await kit.secure(line, hop.host, trusted=target.trusted)
    except DialFault as fault:
        if fault.fault is not Fault.CERTIFICATE:
            raise
        raise _Unwanted(certificates.fault_of(kit, fault, await _certificate_anyway(hop, kit))) from None
    evidence, expiry, flaw = certificates.looked_at(kit, line.certificate())
    if flaw is not None and flaw.cause is Cause.UNREADABLE and target.trusted:
        raise _Unwanted(flaw)
    return evidence, expiry


async def _certificate_anyway(hop: _Hop, kit: Kit) -> bytes | None:
    try:
        line = await kit.connect(hop.host, hop.port)
    except DialFault:
        return None
    try:
        await kit.secure(line, hop.host, trusted=False)
        return line.certificate()
    except DialFault:
        return None
    finally:
        line.close()


def _headers(hop: _Hop, target: HttpTarget, *, goes_home: bool) -> list[tuple[str, str]]:
    """What is sent; what proves who we are goes only to the host that it was given for."""
    own = [(name, value) for name, value in target.headers.items() if goes_home or not is_secret(name)]
    given = {name.lower() for name, _ in own}
    usual = [("User-Agent", "tocsin"), ("Accept", "*/*"), ("Accept-Encoding", "identity")]
    return [("Host", hop.authority), *[(name, value) for name, value in usual if name.lower() not in given], *own]


def shown(reply: Reply) -> dict[str, Any]:
    """The evidence of an answer: status, headers without cookies, the beginning of the body."""
    headers = [[cut(name, 100), "(hidden)" if name.lower() in _NOT_SHOWN else cut(value, 500)] for name, value in reply.headers]
    body = reply.body[:EVIDENCE].decode("utf-8", "replace").replace("\0", "\ufffd")
    return {"status": reply.status, "headers": headers[:MAX_HEADERS], "body": body}


def judged(target: HttpTarget, reply: Reply, kit: Kit, evidence: dict[str, Any], expiry: Expiry | None) -> Finding:
    """Whether an answer is what it should be."""
    if not rules.is_right_status(target.statuses, reply.status):
        words = f"it answered HTTP {reply.status}, and {target.statuses} would be right"
        return kit.failed(Cause.STATUS, words, evidence, expiry)
    text = reply.body.decode("utf-8", "replace")
    cut_words = f" in the first {len(reply.body) // 1024} KiB of it" if reply.is_cut else ""
    if target.keyword is not None and target.keyword not in text:
        return kit.failed(Cause.KEYWORD, f"its answer does not say {cut(target.keyword, 80)!r}{cut_words}", evidence, expiry)
    if target.no_keyword is not None and target.no_keyword in text:
        return kit.failed(Cause.KEYWORD, f"its answer says {cut(target.no_keyword, 80)!r}", evidence, expiry)
    if target.json_path is not None:
        wrong = _value(target, reply)
        if wrong is not None:
            return kit.failed(*wrong, evidence, expiry)
    return kit.fine(f"HTTP {reply.status}", evidence, expiry)


def _value(target: HttpTarget, reply: Reply) -> tuple[Cause, str] | None:
    """What is wrong with the value that the answer should hold."""
    path = target.json_path or ""
    try:
        document = json.loads(reply.body)
    except (ValueError, RecursionError):
        if reply.is_cut:
            return Cause.NOT_JSON, f"its answer is longer than {len(reply.body) // 1024} KiB, and was not read to its end"
        begin = cut(one_line(reply.body[:200].decode("utf-8", "replace")), 60)
        return Cause.NOT_JSON, f"its answer is not JSON; it begins with {begin!r}" if begin else "its answer is empty, and not JSON"
    there, value = rules.value_at(document, path)
    if not there:
        return Cause.VALUE, f"its answer has no {path}"
    if not rules.holds(value, target.json_op, target.json_value):
        shown = cut(one_line(json.dumps(value)), 80)
        return Cause.VALUE, f"{path} is {shown}, and should be {target.json_op} {json.dumps(target.json_value)}"
    return None
