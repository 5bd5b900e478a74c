"""The OpenAPI document as a page reads it: groups of calls, each with what it takes and what it answers."""

import json
from collections.abc import Mapping
from typing import Any

import msgspec

Schema = Mapping[str, Any]


class Field(msgspec.Struct, frozen=True):
    """One parameter or field: its name, type in words, whether it must be there, what it means."""

    name: str
    type: str
    required: bool
    meaning: str


class Reply(msgspec.Struct, frozen=True):
    """One status that a call can answer, and the name of the shape."""

    status: str
    meaning: str
    shape: str


class Call(msgspec.Struct, frozen=True):
    """One method on one address."""

    id: str
    method: str
    path: str
    summary: str
    description: tuple[str, ...]
    parameters: tuple[Field, ...]
    body: tuple[Field, ...]
    body_note: str
    replies: tuple[Reply, ...]
    example: str


class Group(msgspec.Struct, frozen=True):
    """Calls that belong together."""

    name: str
    calls: tuple[Call, ...]


class Shape(msgspec.Struct, frozen=True):
    """One kind of object in the answers."""

    name: str
    meaning: str
    fields: tuple[Field, ...]


class Reference(msgspec.Struct, frozen=True):
    """The whole page."""

    version: str
    intro: tuple[str, ...]
    groups: tuple[Group, ...]
    shapes: tuple[Shape, ...]

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "Reference":
        """The page of an OpenAPI *document*."""
        server = document["servers"][0]["url"]
        components = document["components"]["schemas"]
        groups: dict[str, list[Call]] = {}
        for path, methods in document["paths"].items():
            for method, operation in methods.items():
                call = _call(server, path, method.upper(), operation, components)
                groups.setdefault(operation["tags"][0], []).append(call)
        ordered = sorted(groups, key=lambda name: (_ORDER.index(name) if name in _ORDER else len(_ORDER), name))
        shapes = [
            Shape(name, s.get("description", ""), _fields(s)) for name, s in components.items() if s.get("properties") and _is_answer(name)
        ]
        return cls(
            document["info"]["version"],
            _paragraphs(document["info"]["description"]),
            tuple(Group(name, tuple(groups[name])) for name in ordered),
            tuple(shapes),
        )


_ORDER = ("Events", "Alerts", "Notifications", "Contacts", "Sites", "Keys", "Health")


def _is_answer(name: str) -> bool:
    """Queries and most bodies stand at their calls; pages are explained once."""
    return not name.endswith(("Query", "Filter", "Page"))


def _paragraphs(text: str) -> tuple[str, ...]:
    return tuple(" ".join(part.split()) for part in text.split("\n\n") if part.strip())


def _call(server: str, path: str, method: str, operation: Mapping[str, Any], components: Mapping[str, Schema]) -> Call:
    body, note = _body(operation.get("requestBody"), components)
    parameters = tuple(Field(p["name"], _type(p["schema"]), p["required"], p.get("description", "")) for p in operation["parameters"])
    replies = tuple(_reply(status, reply) for status, reply in operation["responses"].items())
    example = _example(server, path, method, operation)
    return Call(
        operation["operationId"],
        method,
        path,
        operation["summary"],
        _paragraphs(operation["description"]),
        parameters,
        body,
        note,
        replies,
        example,
    )


def _body(body: Mapping[str, Any] | None, components: Mapping[str, Schema]) -> tuple[tuple[Field, ...], str]:
    if body is None:
        return (), ""
    schema = body["content"]["application/json"]["schema"]
    if "anyOf" in schema:
        return _fields(components[_name(schema["anyOf"][0])]), "One object, an array of them, or NDJSON."
    return _fields(components[_name(schema)]), ""


def _reply(status: str, reply: Mapping[str, Any]) -> Reply:
    content = next(iter(reply.get("content", {}).items()), None)
    shape = "" if content is None else _type(content[1]["schema"]) if "json" in content[0] else content[0]
    return Reply(status, reply["description"], shape)


def _fields(schema: Schema) -> tuple[Field, ...]:
    required = set(schema.get("required", ()))
    return tuple(
        Field(name, _type(one), name in required and "default" not in one, _meaning(one)) for name, one in schema["properties"].items()
    )


def _meaning(schema: Schema) -> str:
    inner: list[str] = [one["description"] for one in schema.get("anyOf", ()) if "description" in one]
    return str(schema.get("description") or "".join(inner[:1]))


def _name(schema: Schema) -> str:
    return str(schema["$ref"]).rpartition("/")[2]


def _type(schema: Schema) -> str:
    """A schema's type in a few words: ``text, at most 200``, ``1 to 5``, ``list of Gap``."""
    if "$ref" in schema:
        return _name(schema)
    if "anyOf" in schema:
        words = [_type(one) for one in schema["anyOf"] if one != {"type": "null"}]
        return " or ".join(words) + (" or null" if {"type": "null"} in schema["anyOf"] else "")
    if "enum" in schema:
        return ", ".join(str(value) for value in schema["enum"] if value is not None) + (" or null" if None in schema["enum"] else "")
    if schema.get("type") == "array":
        return f"list of {_type(schema['items'])}" if isinstance(schema.get("items"), dict) else "list"
    return _plain_type(schema)


def _plain_type(schema: Schema) -> str:
    kind = schema.get("type", "anything")
    words = str({"string": "text", "integer": "number"}.get(kind, kind))
    if "format" in schema:
        return str({"date-time": "time", "uuid": "id"}.get(schema["format"], words))
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None and high < 2**40:
        return f"{low} to {high}"
    longest = schema.get("maxLength")
    return f"{words}, at most {longest}" if longest else words


def _example(server: str, path: str, method: str, operation: Mapping[str, Any]) -> str:
    parts = ["curl"]
    if method not in ("GET", "POST") or (method == "POST" and not operation.get("requestBody")):
        parts.append(f"-X {method}")
    if operation["security"] and {} not in operation["security"]:
        parts.append('-H "Authorization: Bearer $KEY"')
    if operation.get("requestBody"):
        sample = json.dumps(_SAMPLES.get(operation["operationId"], {}))
        parts.append(f"-H 'Content-Type: application/json' -d '{sample}'")
    return " ".join(part for part in [*parts, server + path] if part)


_SAMPLES: dict[str, dict[str, Any]] = {
    "send_events": {"type": "disk.full", "host": "srv-12"},
    "acknowledge": {"note": "I am on it", "for_seconds": 3600},
    "unacknowledge": {"note": "off for today"},
    "resolve": {"note": "restarted the gateway module"},
    "snooze": {"for_seconds": 1800},
    "assign": {"user": "marta@example.com"},
    "comment": {"text": "the provider has been told"},
    "bulk": {"ids": ["1042", "1043"], "action": "resolve"},
    "test_alert": {"severity": 4},
    "add_site": {"slug": "kiezhost", "name": "Kiezhost"},
    "change_row": {"severity": 5},
    "set_pattern": {"pattern": "gateway .{0,40} refused", "type": "invoice.payment_failed"},
    "add_key": {"name": "grafana", "scopes": ["read"], "expires": "90d"},
}
