"""Taking secrets out of text that goes to a log or to a screen."""

import re
from typing import Any

from tocsin.core.text import without_credentials

MASK = "(hidden)"

_SECRETS = (
    re.compile(r"(?i)(?<=bearer )\s*[^\s\"',;]+"),
    re.compile(r"(?i)(?<=basic )\s*[A-Za-z0-9+/=]{6,}"),
    re.compile(r"tocsin_[A-Za-z0-9_-]{16,}"),  # API keys
    re.compile(r"tk_[A-Za-z0-9]{8,}"),  # ntfy access tokens
    re.compile(r"(?<=/a/)[A-Za-z0-9_=-]{16,}"),  # action links
    re.compile(r"(?<=/ical/)[A-Za-z0-9_-]{16,}"),  # calendar feeds
    *[
        re.compile(rf"(?<=/{page}/)[A-Za-z0-9_=-]{{16,}}") for page in ("invite", "reset")
    ],  # links that work once; /setup/ is shown on purpose, once
)
_SECRET_NAMES = re.compile(r"(?i)password|passwd|secret|authorization|cookie|(^|_)token$|(^|(?<!dedup)_)(api_?)?key$")


def redact(text: str) -> str:
    """*text* without API keys, ntfy tokens, action tokens, ``Authorization`` values and ``user:password@``."""
    for pattern in _SECRETS:
        text = pattern.sub(MASK, text)
    return without_credentials(text)


def redact_all(value: Any) -> Any:
    """The same for whatever holds text, all the way down. A field that is named as a secret is masked whole."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, bytes):
        return redact(value.decode(errors="replace"))
    if isinstance(value, dict):
        return {key: MASK if item and _SECRET_NAMES.search(str(key)) else redact_all(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [redact_all(item) for item in value]
    return value if value is None or isinstance(value, int | float) else redact(str(value))
