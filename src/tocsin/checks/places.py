"""A target as one word: ``https://www.example.com/``, ``tcp://db.example.com:3306``, ``tls://mail.example.com:993``."""

import re

import msgspec

from tocsin.checks.model import Target
from tocsin.core.errors import InvalidInput

_PLACE = re.compile(r"(tcp|tls)://(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::([0-9]{1,5}))?/?")
_EXAMPLES = "https://www.example.com/, tcp://db.example.com:3306 or tls://mail.example.com:993"


def read_place(text: str, keyword: str | None = None) -> Target:
    """The target that *text* names. Raises `InvalidInput`."""
    if text.lower().startswith(("http://", "https://")):
        found: dict[str, object] = {"kind": "http", "url": text, "keyword": keyword}
    elif match := _PLACE.fullmatch(text):
        found = {"kind": match[1], "host": match[2] or match[3]}
        if match[4]:
            found["port"] = int(match[4])
    else:
        raise InvalidInput.of("target", f"{text[:80]!r} names nothing that can be asked. Examples: {_EXAMPLES}")
    if keyword is not None and found["kind"] != "http":
        raise InvalidInput.of("keyword", "is looked for in what a web server answers: give an address with http:// or https://")
    try:
        target: Target = msgspec.convert(found, Target)
    except msgspec.ValidationError as error:
        raise InvalidInput.of("target", f"{str(error).partition(' - at')[0].replace('`', '')}. Examples: {_EXAMPLES}") from None
    return target
