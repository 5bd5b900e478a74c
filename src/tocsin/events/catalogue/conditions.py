"""When an event is loud: one small function for each `Condition`.

Each takes the attributes with keys in lower case and answers yes, no, or None when they do not tell:
only a clear *no* may resolve an alert.
"""

import re
from collections.abc import Callable, Mapping
from math import isfinite

from tocsin.events.catalogue.model import Condition
from tocsin.events.catalogue.results import Reading, read_result

Fields = Mapping[str, object]
Predicate = Callable[[Fields], bool | None]

_YES = frozenset({"1", "true", "yes", "on"})
_NO = frozenset({"", "0", "false", "no", "off"})
_HIGH = frozenset({"high", "urgent", "critical", "emergency"})
_CRITICAL_DEPARTMENT = re.compile(r"critical|urgent|emergency|outage", re.IGNORECASE)
_NOTHING = frozenset({"", "0", "[]", "{}"})
_READ_LIMIT = 200


def _money_out(fields: Fields) -> bool | None:
    refund, out = _number(fields.get("refundid")), _number(fields.get("amountout"))
    if refund is None and out is None:
        return None
    return bool(refund) or (out or 0.0) > 0


def _late_reminder(fields: Fields) -> bool | None:
    kind = _word(fields.get("type"))
    return kind.startswith(("second", "third")) if kind else None


def _payment_refused(fields: Fields) -> bool | None:
    reading = read_result(fields.get("result"))
    if reading is Reading.FAILURE:
        return True
    return False if reading is Reading.SUCCESS else None


def _registrar_failed(fields: Fields) -> bool | None:
    successful = _truth(fields.get("functionsuccessful"))
    return None if successful is None else not successful


def _urgent_ticket(fields: Fields) -> bool | None:
    department = fields.get("deptname")
    if isinstance(department, str) and _CRITICAL_DEPARTMENT.search(department[:_READ_LIMIT]):
        return True
    return _high_priority(fields)


def _high_priority(fields: Fields) -> bool | None:
    priority = _word(fields.get("priority"))
    return priority in _HIGH if priority else None


def _mail_errors(fields: Fields) -> bool | None:
    errors = fields.get("connectionerrors")
    if errors is None:
        return None
    return bool(errors) and _word(errors) not in _NOTHING if isinstance(errors, str) else bool(errors)


def _unusual_login(fields: Fields) -> bool | None:
    """WHMCS does not tell: who knows an admin's habits adds ``unusual`` to the event."""
    return _truth(fields.get("unusual"))


def _log_match(fields: Fields) -> bool | None:
    return True if _word(fields.get("pattern")) else None


PREDICATES: dict[Condition, Predicate] = {
    Condition.MONEY_OUT: _money_out,
    Condition.LATE_REMINDER: _late_reminder,
    Condition.PAYMENT_REFUSED: _payment_refused,
    Condition.REGISTRAR_FAILED: _registrar_failed,
    Condition.URGENT_TICKET: _urgent_ticket,
    Condition.HIGH_PRIORITY: _high_priority,
    Condition.MAIL_ERRORS: _mail_errors,
    Condition.UNUSUAL_LOGIN: _unusual_login,
    Condition.LOG_MATCH: _log_match,
}


def _word(value: object) -> str:
    return value[:_READ_LIMIT].strip().casefold() if isinstance(value, str) else ""


def _truth(value: object) -> bool | None:
    """PHP's ways to say it: true, 1, "1", "true"; None for what is none of these."""
    if isinstance(value, bool | int):
        return bool(value)
    if not isinstance(value, str):
        return None
    word = _word(value)
    return True if word in _YES else False if word in _NO else None


def _number(value: object) -> float | None:
    """A number, also as text ("12.50"); None for all else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value[:_READ_LIMIT] if isinstance(value, str) else value)
    except (ValueError, OverflowError):
        return None
    return number if isfinite(number) else None
