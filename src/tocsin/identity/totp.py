"""The second factor: codes of an app (RFC 6238), and the picture that it reads its secret from."""

import hmac

from tocsin.identity import rules

ISSUER = "Tocsin"


def make_secret() -> str:
    """A new secret: 160 random bits in Base32."""
    import pyotp  # noqa: PLC0415 - only who sets up a second factor pays for it

    return pyotp.random_base32()


def step_of(secret: str, code: str, now: int) -> int | None:
    """The time step that *code* is of, if it is one of those that are taken at *now*."""
    import pyotp  # noqa: PLC0415

    app = pyotp.TOTP(secret)
    for step in rules.steps_around(now):
        if hmac.compare_digest(app.generate_otp(step), code):
            return step
    return None


def address(secret: str, email: str) -> str:
    """What the app reads: ``otpauth://...``."""
    import pyotp  # noqa: PLC0415

    return pyotp.TOTP(secret).provisioning_uri(name=email, issuer_name=ISSUER)


def spaced(secret: str) -> str:
    """The secret in groups of four, for typing."""
    return " ".join(secret[place : place + 4] for place in range(0, len(secret), 4))
