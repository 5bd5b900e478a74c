"""What Schemathesis cannot guess from the document alone: how lines of JSON are written, and which ids there are.

Loaded by the program itself (``SCHEMATHESIS_HOOKS``). Ids are taken from the list that a route's address begins with
(``/api/v1/schedules`` for ``/api/v1/schedules/{schedule_id}/swap``), so that new routes need no entry here.
"""

import itertools
import json
import os
import re
import urllib.request
from typing import Any
from urllib.parse import quote

import schemathesis
from schemathesis.core.parameters import ParameterLocation

URL, KEY, OWN_KEY_ID = (os.environ[f"MADE_UP_{name}"] for name in ("URL", "KEY", "KEY_ID"))
EACH = 200  # cases between two looks at the lists: what is made in between is used as well


NDJSON = "application/x-ndjson"
INTAKE = "/api/v1/events"
METRICS = "/api/v1/metrics"


@schemathesis.serializer(NDJSON)
def ndjson(_context: schemathesis.SerializationContext, value: str) -> bytes:
    """Text, as it is."""
    return value.encode(errors="surrogatepass")


@schemathesis.hook
def filter_case(_context: schemathesis.HookContext, case: "schemathesis.Case[Any]") -> bool:
    """Lines are text: the truth value `true` could only be sent as the text "true", which is a good line of JSON."""
    return case.media_type != NDJSON or isinstance(case.body, str)


@schemathesis.check
def wrong_members_are_named(
    _context: schemathesis.CheckContext, response: schemathesis.Response, case: "schemathesis.Case[Any]"
) -> bool | None:
    """Of a wrong body the intakes take at most those members of an array that are right."""
    body = case.meta.components.get(ParameterLocation.BODY) if case.meta else None
    if response.status_code == 202 and case.path == INTAKE and body is not None and body.mode.is_negative:
        assert isinstance(case.body, list), "a wrong event was taken"
        assert response.json()["rejected"], "an array with a wrong member was taken whole"
    if response.status_code == 202 and case.path == METRICS and body is not None and body.mode.is_negative:
        assert response.json()["rejected"], "samples with a wrong one among them were taken whole"
    return None


class Known:
    """The ids behind each list, looked up now and then."""

    def __init__(self) -> None:
        self._ids: dict[str, tuple[int, list[str]]] = {}
        self._asked = 0

    def ids(self, collection: str) -> list[str]:
        """What the list at *collection* holds."""
        self._asked += 1
        at, found = self._ids.get(collection, (-EACH, []))
        if self._asked - at >= EACH or not found:
            found = [one for one in self._look(collection) if one != OWN_KEY_ID]
            self._ids[collection] = self._asked, found
        return found

    @staticmethod
    def _look(collection: str) -> list[str]:
        request = urllib.request.Request(f"{URL}{collection}", headers={"Authorization": f"Bearer {KEY}"})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                items = json.load(answer)["items"]
        except (OSError, KeyError, ValueError):
            return []
        names = ("id", "slug", "type", "name")
        return [str(next(item[name] for name in names if name in item)) for item in items if any(name in item for name in names)]


known = Known()
_turns = itertools.count()


@schemathesis.hook
def map_path_parameters(context: schemathesis.HookContext, path_parameters: dict[str, Any] | None) -> dict[str, Any] | None:
    """Three times in four the ids in an address are of things that are there."""
    operation, turn = context.operation, next(_turns)
    if operation is None or not path_parameters or turn % 4 == 0:
        return path_parameters
    address = operation.path
    for name in re.findall(r"{(\w+)}", address):
        found = known.ids(address.partition(f"/{{{name}}}")[0])
        if found:
            path_parameters[name] = found[turn % len(found)]
        address = address.replace(f"{{{name}}}", quote(str(path_parameters[name]), safe=""))
    return path_parameters
