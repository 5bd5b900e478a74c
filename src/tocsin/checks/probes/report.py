"""What an agent found, judged as a look of our own would be: it brings facts, and none of its words decide."""

import msgspec

from tocsin.checks import dns_wire, rules
from tocsin.checks.model import (
    BannerTarget,
    Cause,
    Definition,
    DnsTarget,
    Expiry,
    Finding,
    HttpTarget,
    PingTarget,
    Report,
    Target,
    TcpTarget,
    TlsTarget,
)
from tocsin.checks.probes import banner, certificates, dns, http, ping
from tocsin.checks.probes.kit import Kit, Means
from tocsin.checks.probes.talk import Misspoken
from tocsin.core.text import cut, one_line
from tocsin.net.dial import DialFault, Fault, Trace
from tocsin.net.exchange import Reply

_MEANS = Means()  # nothing is connected to


class _Told(Trace):
    """A trace that was kept elsewhere."""

    def __init__(self, report: Report) -> None:
        super().__init__()
        self.lines = [(at, cut(one_line(text), 300)) for at, text in report.trace]
        self.phases = {str(name): ms for name, ms in report.phases.items() if name}
        self.heard, self.address, self.port, self.at = report.heard, report.address, report.port, report.at
        self._took = report.ms

    @property
    def ms(self) -> float:
        return self._took


def judge(one: Definition, report: Report, warning_ms: int, critical_ms: int) -> Finding:
    """The finding that a report comes to."""
    kit = Kit(_MEANS, within=one.timeout, allow_private=one.private)
    kit.trace = _Told(report)
    found = _judged(one, report, kit)
    return rules.timed(found, one.warning_ms or warning_ms, one.critical_ms or critical_ms)


def _judged(one: Definition, report: Report, kit: Kit) -> Finding:
    reply = _reply(report)
    evidence = {} if reply is None else {"url": report.url, **http.shown(reply)}
    if report.fault is not None:
        return _failed(report, kit, evidence)
    expiry: Expiry | None = None
    if report.certificate is not None:
        facts, expiry, flaw = certificates.looked_at(kit, report.certificate)
        if flaw is not None and _counts(flaw, one.target):
            return flaw
        evidence = {**evidence, **facts, "tls": report.tls}
    if isinstance(one.target, HttpTarget):
        if reply is None:
            return kit.found(None, Cause.OUR_FAULT, "the agent reports no answer, and no failure")
        return http.judged(one.target, reply, kit, evidence, expiry)
    return _of_its_kind(one.target, report, kit, evidence, expiry)


def _counts(flaw: Finding, target: Target) -> bool:
    """Whether what is wrong with a certificate is what the check is about."""
    return isinstance(target, TlsTarget) or (isinstance(target, HttpTarget) and flaw.cause is Cause.UNREADABLE and target.trusted)


def _of_its_kind(target: Target, report: Report, kit: Kit, evidence: dict[str, object], expiry: Expiry | None) -> Finding:
    match target:
        case TcpTarget():
            return kit.fine(f"port {target.port} takes connections")
        case PingTarget():
            return ping.connected(target, kit) if report.echoes is None else ping.judged(target, report.echoes, kit)
        case BannerTarget():
            try:
                return banner.judged(target, banner.greeting_in(report.body, target.protocol), kit, evidence, expiry)
            except Misspoken as error:
                return kit.failed(Cause.PROTOCOL, str(error), evidence, expiry)
        case DnsTarget():
            try:
                answer = dns_wire.read(report.body, dns_wire.question(0, target.name, target.record))
            except dns_wire.Garbled as error:
                return kit.failed(Cause.PROTOCOL, str(error))
            return dns.judged(target, answer, kit, report.address or "")
        case _:
            return kit.fine("its certificate is valid", evidence, expiry)


def _reply(report: Report) -> Reply | None:
    if report.status is None:
        return None
    headers = tuple((one_line(name), one_line(value)) for name, value in report.headers)
    return Reply(report.status, headers, report.body, report.is_cut)


def _failed(report: Report, kit: Kit, evidence: dict[str, object]) -> Finding:
    words = cut(one_line(report.words), 300) or "it does not say more"
    match report.fault:
        case "timeout":
            return msgspec.structs.replace(found := kit.of_timeout(), evidence={**evidence, **found.evidence})
        case "redirects":
            return kit.failed(Cause.REDIRECTS, words, evidence)
        case "not_http" | "garbled":
            return kit.failed(Cause.PROTOCOL, words, evidence)
        case "certificate":
            return certificates.fault_of(kit, DialFault(Fault.CERTIFICATE, words, report.code), report.certificate)
        case fault:
            return kit.of_fault(DialFault(Fault[str(fault).upper()], words), evidence)
