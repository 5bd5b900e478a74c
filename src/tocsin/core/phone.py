"""Accounts with providers of text messages and calls: read by the settings, used by the providers."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class TwilioAccount:
    """``sender``: a number (``+4930...``), the id of a messaging service (``MG...``) or a name."""

    sid: str
    token: str = field(repr=False)
    sender: str


@dataclass(frozen=True)
class VonageAccount:
    """``sender``: a number or a name."""

    application_id: str
    private_key: str = field(repr=False)
    signature_secret: str = field(repr=False)
    sender: str
