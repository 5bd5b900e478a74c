"""A target as one word: ``https://www.example.com/``, ``tcp://db.example.com:3306``, ``tls://mail.example.com``, ``ping://web-1.example.com``."""

import re
from typing import Any

import msgspec

from tocsin.checks.model import Target
from tocsin.core.errors import InvalidInput

GREETINGS = ("smtp", "imap", "pop3", "ftp", "ssh")
PLAIN = ("tcp", "tls", "ping", "dns", "domain")
_PLACE = re.compile(rf"({'|'.join((*PLAIN, *GREETINGS))})://(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::([0-9]{{1,5}}))?/?")
_EXAMPLES = (
    "https://www.example.com/, tcp://db.example.com:3306, tls://mail.example.com:993, ping://web-1.example.com, smtp://mail.example.com"
)


def read_place(text: str, keyword: str | None = None) -> Target:
    """The target that *text* names. Raises `InvalidInput`."""
    if text.lower().startswith(("http://", "https://")):
        found: dict[str, Any] = {"kind": "http", "url": text}
    elif match := _PLACE.fullmatch(text):
        greets = match[1] in GREETINGS
        found = {"kind": "banner", "protocol": match[1]} if greets else {"kind": match[1]}
        found["host"] = match[2] or match[3]
        if match[4]:
            found["port"] = int(match[4])
    else:
        raise InvalidInput.of("target", f"{text[:80]!r} names nothing that can be asked. Examples: {_EXAMPLES}")
    if keyword is not None:
        if found["kind"] not in ("http", "banner"):
            raise InvalidInput.of("keyword", "is looked for in what a web or mail server says: give an address with https:// or smtp://")
        found["keyword"] = keyword
    try:
        target: Target = msgspec.convert(found, Target)
    except msgspec.ValidationError as error:
        raise InvalidInput.of("target", f"{str(error).partition(' - at')[0].replace('`', '')}. Examples: {_EXAMPLES}") from None
    return target
