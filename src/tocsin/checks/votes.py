"""Several locations: what an agent is told, and what many findings come to. Pure.

A check fails if `Definition.quorum` of its locations say so. A location that is silent, or could learn nothing, has no vote: it
never makes a check fail, and it never makes one recover. Where too few have a vote the check is unknown, with the reason in words.
"""

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from tocsin.checks import dns_wire
from tocsin.checks.model import (
    SERVER,
    BannerTarget,
    Cause,
    Definition,
    DnsTarget,
    Errand,
    Finding,
    HttpTarget,
    Level,
    PingTarget,
    TcpTarget,
    TlsTarget,
    Vote,
    is_secret,
)
from tocsin.core.clock import SECOND
from tocsin.core.errors import FieldError
from tocsin.core.text import counted, cut
from tocsin.core.times import in_words

MOST_LOCATIONS = 20
SLACK = 30 * SECOND  # for the way of a report
BODY_SEEN, BODY_SHOWN = 64 * 1024, 4 * 1024  # of an answer: where something is looked for in it, and where nothing is
KINDS = ("http", "tcp", "tls", "dns", "ping", "banner")
NOT_HERE = Finding(level=None, cause=Cause.FEW_VOTES, words="this location is not asked", heard=False)
_SEEN_EVIDENCE, _SEEN_TRACE = 1_024, 20  # of each location, within the evidence of all


# --- What can be asked from elsewhere ---------------------------------------------------------------------------------


def check_locations(one: Definition) -> list[FieldError]:
    """What is wrong with where a check is asked from."""
    errors = []
    if len(set(one.locations)) < len(one.locations):
        errors.append(FieldError("locations", "names one twice"))
    if one.agree is not None and not 1 <= one.agree <= max(1, len(one.locations)):
        errors.append(FieldError("agree", f"must be from 1 to {max(1, len(one.locations))}: so many locations are named"))
    if one.hosts:
        errors += [FieldError(field, words) for field, words in _unfit(one)]
    return errors


def _unfit(one: Definition) -> list[tuple[str, str]]:
    """Why an agent cannot, or must not, look at it."""
    target = one.target
    if isinstance(target, HttpTarget):
        secret = [name for name in target.headers if is_secret(name)]
        found = [("target.body", "must be empty where agents look: what it holds would be told to their servers")] if target.body else []
        if secret:
            words = (
                f"{secret[0]} proves who you are, and would be told to the servers whose agents look: leave it out, or ask from {SERVER}"
            )
            found.append(("target.headers", f"{words} alone"))
        return found
    if isinstance(target, TlsTarget) and target.starttls != "none":
        return [("locations", f"STARTTLS is spoken by the server alone: agents look at {', '.join(KINDS)}, and TLS from the start")]
    if isinstance(target, DnsTarget):
        try:
            dns_wire.question(0, target.name, target.record)
        except dns_wire.Garbled as error:
            return [("target.host", str(error))]
    if one.kind not in KINDS:
        return [("locations", f"agents look at {', '.join(KINDS)}; a check of the kind {one.kind} is asked from {SERVER} alone")]
    return []


def mark_of(one: Definition) -> str:
    """Tells the look that is wanted from the one that was wanted before."""
    told = msgspec.json.encode((one.target, one.timeout, one.private))
    return hashlib.sha256(told).hexdigest()[:16]


def errand(check_id: str, one: Definition, vote: Vote, now: int) -> Errand:
    """What the agent of a location is told."""
    target = one.target
    told: dict[str, Any] = {}
    if isinstance(target, HttpTarget):
        told = {name: getattr(target, name) for name in ("url", "method", "headers", "redirects", "trusted")}
        told["max_body"] = BODY_SEEN if target.keyword or target.no_keyword or target.json_path else BODY_SHOWN
    elif isinstance(target, TlsTarget):
        told = {"host": target.host, "port": target.port, "name": target.name or target.host}
    elif isinstance(target, TcpTarget):
        told = {"host": target.host, "port": target.port}
    elif isinstance(target, PingTarget):
        told = {"host": target.host, "port": target.port, "count": target.count}
    elif isinstance(target, BannerTarget):
        told = {"host": target.host, "port": target.own_port, "protocol": target.protocol, "secure": target.tls}
    elif isinstance(target, DnsTarget):
        told = {"host": target.server or "", "port": target.port, "asked": dns_wire.question(0, target.name, target.record)}
    return Errand(
        id=check_id,
        mark=mark_of(one),
        kind=one.kind,
        in_ms=max(0, vote.due_at - now),
        timeout_seconds=one.timeout,
        private=one.private,
        **told,
    )


# --- What many findings come to ---------------------------------------------------------------------------------------


def is_fresh(one: Definition, vote: Vote, now: int) -> bool:
    """Whether what a location found still counts."""
    return vote.at is not None and vote.mark == mark_of(one) and now - vote.at <= _fresh_for(one)


def _fresh_for(one: Definition) -> int:
    return (one.interval + one.interval // 2 + one.timeout) * SECOND + SLACK


class Cast(NamedTuple):
    """A vote that counts."""

    vote: Vote
    finding: Finding
    level: Level


def cast(one: Definition, votes: Sequence[Vote], now: int) -> list[Cast]:
    """The votes that count, the worst first."""
    found = [(vote, vote.finding) for vote in votes if is_fresh(one, vote, now) and vote.location in one.locations]
    valid = [Cast(vote, finding, finding.level) for vote, finding in found if finding is not None and finding.level is not None]
    return sorted(valid, key=lambda its: (-its.level, its.vote.location != SERVER, its.vote.location))


def combine(one: Definition, votes: Sequence[Vote], before: Level | None, now: int) -> Finding:
    """One finding for all. *before*: the level that was confirmed last, which a silent location must not mend."""
    valid, quorum = cast(one, votes, now), one.quorum
    missing = len(one.locations) - len(valid)
    level = valid[quorum - 1].level if len(valid) >= quorum else Level.OK  # so bad is it at least, say as many as must
    worst = Level.FAILED if missing >= quorum else valid[quorum - missing - 1].level  # if all who are silent found that it fails
    is_open = worst > level and (len(valid) < quorum or (before is not None and level < before <= worst))
    evidence = {"locations": [_seen(one, vote, now) for vote in votes]}
    if is_open or not valid:
        words = f"{quorum} of {counted(len(one.locations), 'location')} must agree, and {len(valid)} can say: {_silent(one, votes, now)}"
        return Finding(level=None, cause=Cause.FEW_VOTES, words=words, heard=False, evidence=evidence)
    return _common(one, valid, level, evidence)


def _common(one: Definition, valid: Sequence[Cast], level: Level, evidence: dict[str, Any]) -> Finding:
    agreeing = [its for its in valid if (its.level >= level if level is not Level.OK else its.level is Level.OK)]
    shown = next(its for its in agreeing if its.level == level).finding
    names = ", ".join(its.vote.location for its in agreeing)
    words = f"{shown.words} (from {len(agreeing)} of {counted(len(one.locations), 'location')}: {names})"
    ends = [its.finding.expiry for its in valid if its.finding.expiry is not None]
    expiry = min(ends, key=lambda end: end.ends_at) if ends else None
    return msgspec.structs.replace(shown, words=words, evidence={**shown.evidence, **evidence}, expiry=expiry)


def _seen(one: Definition, vote: Vote, now: int) -> dict[str, Any]:
    """A location within the evidence of all."""
    found = vote.finding
    if found is None or vote.at is None:
        return {"location": vote.location, "result": "unknown", "words": why_silent(one, vote, now)}
    kept = {name: value for name, value in found.evidence.items() if name != "headers"}
    if "body" in kept:
        kept["body"] = str(kept["body"])[:_SEEN_EVIDENCE]
    level = found.level if is_fresh(one, vote, now) else None
    return {
        "location": vote.location,
        "at": vote.at,
        "result": "unknown" if level is None else level.name.lower(),
        "cause": found.cause.value,
        "words": found.words,
        "ms": found.ms,
        "evidence": kept,
        "trace": found.trace[:_SEEN_TRACE],
    }


def _silent(one: Definition, votes: Sequence[Vote], now: int) -> str:
    """Who cannot say, and why."""
    valid = {its.vote.location for its in cast(one, votes, now)}
    missing = [f"{vote.location} {why_silent(one, vote, now)}" for vote in votes if vote.location not in valid]
    return cut("; ".join(missing) or "the others do not agree", 400)


def why_silent(one: Definition, vote: Vote, now: int) -> str:
    """Why a location has no vote."""
    if vote.at is None or vote.finding is None or vote.mark != mark_of(one):
        return "has not looked yet" if vote.location == SERVER else "has not looked yet (does its agent run with --checks?)"
    if not is_fresh(one, vote, now):
        return f"has not reported for {in_words(now - vote.at)}"
    return f"learned nothing: {vote.finding.words}"


def is_settled(one: Definition, votes: Sequence[Vote], found: Finding, before: Level | None, last_at: int | None, now: int) -> bool:
    """Whether enough of those who must agree have looked since the last time: one look is never counted twice for a change."""
    if found.level is None or last_at is None or found.level == (Level.OK if before is None else before):
        return True
    is_worse = found.level > (Level.OK if before is None else before)
    new = [its.level for its in cast(one, votes, now) if (its.vote.at or 0) > last_at]
    return sum(level >= found.level for level in new) >= one.quorum if is_worse else any(level <= found.level for level in new)


def next_look(one: Definition, level: Level | None, at: int, confirmed: Level | None) -> int:
    """When an agent looks next: soon, where what it found is not what is known."""
    differs = level is not None and level != (Level.OK if confirmed is None else confirmed)
    return at + (one.retry_after if differs else one.interval) * SECOND


def hurries(one: Definition, votes: Sequence[Vote], now: int, *, is_wavering: bool) -> bool:
    """Whether all should look again soon: it is being asked again, or they have begun to differ. Not for ever, if they go on to."""
    valid = cast(one, votes, now)
    lately = now - (one.retries + 2) * one.retry_after * SECOND
    return is_wavering or (len({its.level for its in valid}) > 1 and any(its.vote.since >= lately for its in valid))
