"""Answers of WHMCS's API, whose types are loose: lists in six shapes, numbers as text, failures under two names.

Shapes and failures as open clients have met them; see contracts/README.md.
"""

from typing import Any, TypeVar

import msgspec

from tocsin.core.text import cut, one_line
from tocsin.whmcs.model import Row

ROW = TypeVar("ROW", bound=Row)


class WhmcsFault(Exception):
    """WHMCS refuses, or answers what cannot be understood. ``cure`` says what to change where."""

    def __init__(self, reason: str, cure: str) -> None:
        super().__init__(reason)
        self.reason, self.cure = reason, cure


def answer(action: str, status: int, body: bytes) -> dict[str, Any]:
    """The answer to *action*. Raises `WhmcsFault` for anything that is not a success."""
    found = _decoded(body)
    if not isinstance(found, dict):
        raise _no_json(status, body)
    failed = "error" in (found.get("result"), found.get("status"))
    if failed or status != 200:
        raise _refusal(action, status, one_line(str(found.get("message") or "")))
    return found


def _decoded(body: bytes) -> object:
    """What *body* says; PHP may have printed notices before it."""
    for part in (body, body[max(0, body.find(b'{"')) :]):
        try:
            return msgspec.json.decode(part)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue
    return None


def _no_json(status: int, body: bytes) -> WhmcsFault:
    if b"<html" in body[:2_000].lower():
        seen = "a page instead of an answer"
        cure = "Check that WHMCS_URL is the address of WHMCS, and that no firewall or maintenance page stands before includes/api.php"
    else:
        seen, cure = "no JSON", "Open includes/api.php in a browser: a PHP error there says what is wrong"
    return WhmcsFault(f"WHMCS answered HTTP {status} with {seen}", cure)


_CURES = (
    (
        ("Authentication Failed", "Invalid or missing credentials"),
        "In WHMCS: System Settings > API Credentials: make a new pair and set WHMCS_API_ID and WHMCS_API_SECRET, or give it to the site",
    ),
    (
        ("Invalid IP",),
        "In WHMCS: Configuration > System Settings > General Settings > Security > API IP Access Restriction: add this address",
    ),
    (("Administrator Account Disabled",), "In WHMCS: enable the administrator to whom the API credentials belong"),
    (
        ("Access Denied",),
        "In WHMCS: Configuration > System Settings > Administrator Roles: the role of the credentials' administrator needs API Access",
    ),
)


def _refusal(action: str, status: int, message: str) -> WhmcsFault:
    said = f"WHMCS refuses {action}: {cut(message, 200)}" if message else f"WHMCS answered HTTP {status} to {action}"
    if message.startswith("Invalid Permissions"):
        return WhmcsFault(said, f"In WHMCS: Configuration > System Settings > API Credentials > API Roles: allow {action}")
    for signs, cure in _CURES:
        if message.startswith(signs):
            return WhmcsFault(said, cure)
    return WhmcsFault(said, "The activity log of WHMCS may say more")


def rows(found: dict[str, Any], outer: str, inner: str | None, shape: type[ROW]) -> list[ROW]:
    """The list at *outer* (in *inner*, where answers nest): a list, one by number, a single object, flat keys, or nothing.

    A row without its required fields is left out.
    """
    value = found.get(outer)
    if value is None:
        return _flat(found, f"{outer}[{inner}]" if inner else outer, shape)
    if inner is not None and isinstance(value, dict):
        value = value.get(inner)
    if isinstance(value, dict):
        value = list(value.values()) if value and all(str(key).isdigit() for key in value) else [value] if value else []
    if not isinstance(value, list):
        return []
    return [row for one in value if (row := _row(one, shape)) is not None]


def _flat(found: dict[str, Any], start: str, shape: type[ROW]) -> list[ROW]:
    """Rows as ``orders[order][0][id]``."""
    gathered: dict[int, dict[str, object]] = {}
    for key, value in found.items():
        place, _, field = key.removeprefix(f"{start}[").rstrip("]").partition("][")
        if key.startswith(f"{start}[") and place.isdecimal() and field:
            gathered.setdefault(int(place), {})[field] = value
    return [row for _, one in sorted(gathered.items()) if (row := _row(one, shape)) is not None]


def _row(value: object, shape: type[ROW]) -> ROW | None:
    if not isinstance(value, dict):
        return None
    wanted = {name: "" if value[name] is None else str(value[name]) for name in shape.__struct_fields__ if name in value}
    try:
        return msgspec.convert(wanted, shape)
    except msgspec.ValidationError:
        return None


def count(found: dict[str, Any], name: str) -> int:
    """A number that may be text; 0 for what is none."""
    text = str(found.get(name, "")).strip()
    return int(text) if text.isdecimal() and len(text) < 12 else 0


def hundredths(text: str) -> int:
    """``24.00`` as 2400; 0 for what is no amount."""
    whole, _, part = text.strip().replace(",", "").partition(".")
    if not whole.isdecimal() or len(whole) > 12 or (part and not part.isdecimal()):
        return 0
    return int(whole) * 100 + int((part + "00")[:2])
