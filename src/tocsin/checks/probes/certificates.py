"""What a server's certificate says, and what is wrong with it in words."""

from datetime import UTC
from typing import Any

from tocsin.checks.model import Cause, Expiry, Finding, Level
from tocsin.checks.probes.kit import Kit
from tocsin.core.text import cut
from tocsin.core.times import from_datetime, to_text
from tocsin.net.dial import DialFault

# OpenSSL's numbers (x509_vfy.h).
_CAUSES = {
    9: (Cause.NOT_YET, "it is not valid yet"),
    10: (Cause.EXPIRED, "it has expired"),
    18: (Cause.SELF_SIGNED, "it has signed itself, so that nobody vouches for it"),
    19: (Cause.UNTRUSTED, "it leads to an authority that nobody trusts"),
    20: (Cause.CHAIN, "the certificate of its issuer is neither sent along nor known: the chain is incomplete"),
    21: (Cause.CHAIN, "the certificate of its issuer is not sent along: the chain is incomplete"),
    62: (Cause.WRONG_NAME, "it is for another name"),
    64: (Cause.WRONG_NAME, "it is for another address"),
    66: (Cause.WEAK, "its key is too short"),
    67: (Cause.WEAK, "the key of its authority is too short"),
    68: (Cause.WEAK, "it is signed with a digest that can be forged"),
}
_WEAK_DIGESTS = frozenset({"md5", "sha1"})
MIN_RSA, MIN_CURVE = 2048, 224


def read(der: bytes) -> dict[str, Any]:
    """What it says, for people: `subject`, `issuer`, `names`, `not_before`, `not_after`, `key`, `signature`, `fingerprint`.

    Raises `ValueError` for what is no certificate.
    """
    from cryptography import x509  # noqa: PLC0415 - loaded when the first certificate is looked at
    from cryptography.hazmat.primitives import hashes  # noqa: PLC0415

    found = x509.load_der_x509_certificate(der)
    try:
        extension = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names = [str(name.value) for name in extension]
    except (x509.ExtensionNotFound, ValueError):
        names = []
    digest = found.signature_hash_algorithm
    return {
        "subject": cut(found.subject.rfc4514_string(), 300),
        "issuer": cut(found.issuer.rfc4514_string(), 300),
        "names": [cut(name, 253) for name in names[:50]],
        "not_before": to_text(from_datetime(found.not_valid_before_utc.astimezone(UTC))),
        "not_after": to_text(from_datetime(found.not_valid_after_utc.astimezone(UTC))),
        "key": _key(found.public_key()),
        "signature": digest.name if digest is not None else "none",
        "fingerprint": found.fingerprint(hashes.SHA256()).hex(),
    }


def _key(key: Any) -> str:
    from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa  # noqa: PLC0415

    match key:
        case rsa.RSAPublicKey():
            return f"RSA {key.key_size}"
        case ec.EllipticCurvePublicKey():
            return f"EC {key.key_size}"
        case dsa.DSAPublicKey():
            return f"DSA {key.key_size}"
        case _:
            return type(key).__name__.lstrip("_").removesuffix("PublicKey")


def expiry_of(facts: dict[str, Any]) -> Expiry:
    """When it ends."""
    from datetime import datetime  # noqa: PLC0415

    ends_at = from_datetime(datetime.fromisoformat(facts["not_after"]))
    return Expiry("certificate", facts["fingerprint"], ends_at, f"Issued by {cut(facts['issuer'], 120)}.")


def weakness(facts: dict[str, Any]) -> str | None:
    """What is weak about it, in words."""
    kind, _, bits = facts["key"].partition(" ")
    if kind in ("RSA", "DSA") and int(bits) < MIN_RSA:
        return f"its {kind} key of {bits} bits is too short: {MIN_RSA} are the least"
    if kind == "EC" and int(bits) < MIN_CURVE:
        return f"its key on a curve of {bits} bits is too short"
    if facts["signature"] in _WEAK_DIGESTS and facts["subject"] != facts["issuer"]:
        return f"it is signed with {facts['signature'].upper()}, which can be forged"
    return None


def looked_at(kit: Kit, der: bytes | None) -> tuple[dict[str, Any], Expiry | None, Finding | None]:
    """The facts of a certificate as evidence, when it ends, and a finding if something is weak or cannot be read."""
    try:
        facts = read(der or b"")
        expiry = expiry_of(facts)
    except (ValueError, OverflowError) as error:
        words = f"the certificate cannot be read: {cut(str(error), 120) or 'it is damaged'}"
        return {}, None, kit.failed(Cause.UNREADABLE, words)
    evidence = {"certificate": facts}
    weak = weakness(facts)
    return evidence, expiry, kit.found(Level.WARNING, Cause.WEAK, weak, evidence, expiry) if weak else None


def fault_of(kit: Kit, fault: DialFault, der: bytes | None) -> Finding:
    """What is wrong with a certificate that did not verify, with its facts as evidence."""
    cause, words = _CAUSES.get(fault.code, (Cause.UNTRUSTED, fault.reason))
    evidence, expiry, flaw = looked_at(kit, der) if der else ({}, None, None)
    if flaw is not None and flaw.cause is Cause.UNREADABLE:
        return flaw
    facts = evidence.get("certificate", {})
    if cause is Cause.WRONG_NAME and facts:
        words = f"it is for {', '.join(facts['names'][:5]) or facts['subject']}"
    if cause is Cause.EXPIRED and facts:
        words = f"it has expired on {facts['not_after'][:10]}"
    level = Level.WARNING if cause is Cause.WEAK else Level.FAILED
    return kit.found(level, cause, words, evidence, expiry)
