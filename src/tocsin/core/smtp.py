"""What has to be known to reach a mail server: read by the settings, used by the mail channel."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Smtp:
    """A mail server: ``implicit_tls`` for ``smtps://``; otherwise STARTTLS is used, and demanded unless ``plain``."""

    host: str
    port: int
    user: str | None
    password: str | None = field(repr=False)
    implicit_tls: bool
    plain: bool
