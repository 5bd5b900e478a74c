"""What every probe works with, and how what it meets becomes a finding."""

import ssl
from functools import cached_property
from pathlib import Path
from typing import Any

from tocsin.checks.model import Cause, Expiry, Finding, Level
from tocsin.net.dial import DialFault, Fault, Line, Trace, dial, secure

REGISTRIES = "https://data.iana.org/rdap/dns.json"
MARGIN = 0.05  # seconds by which a connection gives up before the whole probe does, so that it can say why


class Means:
    """What all looks share. TLS contexts are made when they are first needed. *ca_file*: further authorities to trust (PEM).

    *scripts*: the folder whose programs may be run; None: none may. *registries*: where IANA's list of registries is.
    """

    def __init__(self, ca_file: Path | None = None, scripts: Path | None = None, registries: str = REGISTRIES) -> None:
        self.ca_file, self.scripts, self.registries = ca_file, scripts, registries
        self.known_registries: tuple[float, dict[str, str]] = (0.0, {})  # until when the list holds, and the list

    @cached_property
    def strict(self) -> ssl.SSLContext:
        """As browsers see it: a known authority, the right name, no weak key."""
        context = ssl.create_default_context()
        if self.ca_file is not None:
            context.load_verify_locations(self.ca_file)
        return context

    @cached_property
    def lax(self) -> ssl.SSLContext:
        """To look at a certificate that is not trusted, or to do without trust."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
        return context


class Kit:
    """One look: its trace, its time, and where it may go."""

    def __init__(self, means: Means, *, within: float, allow_private: bool) -> None:
        self.means, self.within, self.allow_private = means, within, allow_private
        self.trace = Trace()
        self.so_far: dict[str, Any] = {}  # evidence of what has been seen before it failed

    async def connect(self, host: str, port: int) -> Line:
        """A connection. Raises `DialFault`."""
        return await dial(host, port, self.trace, allow_private=self.allow_private, within=self.within - MARGIN)

    async def secure(self, line: Line, name: str, *, trusted: bool) -> None:
        """TLS on it. Raises `DialFault`."""
        await secure(line, self.means.strict if trusted else self.means.lax, name, self.trace)

    def found(
        self,
        level: Level | None,
        cause: Cause,
        words: str,
        evidence: dict[str, Any] | None = None,
        expiry: Expiry | None = None,
        ms: float | None = None,
    ) -> Finding:
        """A finding with all that the trace knows. *ms*: what counts as its time; None: all of it."""
        trace = self.trace
        known: dict[str, Any] = {} if trace.address is None else {"address": trace.address}
        return Finding(
            level=level,
            cause=cause,
            words=words,
            ms=trace.ms if ms is None else round(ms, 2),
            phases=dict(trace.phases),
            heard=trace.heard,
            evidence={**self.so_far, **known, **(evidence or {})},
            trace=tuple(trace.lines),
            expiry=expiry,
            address=trace.address,
            port=trace.port,
        )

    def fine(self, words: str, evidence: dict[str, Any] | None = None, expiry: Expiry | None = None) -> Finding:
        """All is as it should be."""
        return self.found(Level.OK, Cause.FINE, words, evidence, expiry)

    def failed(self, cause: Cause, words: str, evidence: dict[str, Any] | None = None, expiry: Expiry | None = None) -> Finding:
        """It is not, and the other side is to blame."""
        return self.found(Level.FAILED, cause, words, evidence, expiry)

    def of_fault(self, fault: DialFault, evidence: dict[str, Any] | None = None) -> Finding:
        """What a connection that failed comes to."""
        cause = _CAUSES[fault.fault]
        return self.found(None if cause.is_ours else Level.FAILED, cause, fault.reason, evidence)

    def of_timeout(self) -> Finding:
        """The time is over."""
        doing = _DOING.get(self.trace.at, "it was not done")
        if self.trace.at == "dns":
            return self.found(None, Cause.OUR_RESOLVER, f"our name server did not answer within {self.within:g} s")
        return self.failed(Cause.SILENT, f"{doing} within {self.within:g} s")


_DOING = {
    "connect": "no connection",
    "tls": "the TLS handshake did not end",
    "first byte": "not a byte of an answer",
    "body": "the answer did not end",
    "greeting": "no greeting",
    "login": "the login was not answered",
    "query": "the query was not answered",
    "script": "the script did not end",
    "ping": "no answer",
}

_CAUSES = {
    Fault.NO_NAME: Cause.NO_NAME,
    Fault.OUR_RESOLVER: Cause.OUR_RESOLVER,
    Fault.OUR_RULES: Cause.OUR_RULES,
    Fault.OUR_NETWORK: Cause.OUR_NETWORK,
    Fault.OUR_MACHINE: Cause.OUR_FAULT,
    Fault.REFUSED: Cause.REFUSED,
    Fault.SILENT: Cause.SILENT,
    Fault.BROKE_OFF: Cause.BROKE_OFF,
    Fault.TLS: Cause.TLS,
    Fault.CERTIFICATE: Cause.UNTRUSTED,
}
