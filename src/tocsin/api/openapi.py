"""The OpenAPI document, made from the routes themselves: what a handler names as query, body and answer is what is described."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import msgspec
from litestar import Response
from litestar.handlers.http_handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute

from tocsin import __version__
from tocsin.api.intake import Accepted
from tocsin.api.problems import CONTENT_TYPE, Problem
from tocsin.events.model import MAX_ARRAY, MAX_LINES, EventInput
from tocsin.hosts.model import MAX_CARD, Card
from tocsin.hosts.rules import HEADER as AGENT_HEADER
from tocsin.identity import permissions
from tocsin.identity.model import Permission
from tocsin.identity.permissions import Row
from tocsin.identity.rules import cookie_name

Document = dict[str, Any]
REF = "#/components/schemas/{name}"
INTAKE = "/api/v1/events"

DESCRIPTION = """\
JSON in and out, `snake_case`. Times are RFC 3339 in UTC with milliseconds, ids are UUIDs. Send your key as
`Authorization: Bearer KEY`; make one with `tocsin key add NAME --scope read,write`.

Lists take `limit` (100 if not said, at most 1,000) and `cursor`, and answer `{"items": [...], "next_cursor": null}`.
Every error is a problem document (RFC 9457) that says what happened and what to do; for input that is not valid, `errors`
names each field. A parameter or field that is not known is an error too, so that a typing mistake is not taken for an answer.
"""

_REASONS = {
    401: "No key was sent, or one that is not known, expired or revoked",
    403: "The key is good, and this is not its to do",
    404: "There is no such thing, or not for this key",
    409: "The present state forbids it",
    413: "Too much at once",
    415: "A content type that is not read here",
    422: "The input is not valid; `errors` names each field",
    429: "Too often within a minute; try again after `Retry-After` seconds",
    503: "Tocsin cannot do this now; try again after `Retry-After` seconds",
}

_PARAMETERS = {
    "channel": "A channel's id; for a test also a kind, such as `slack`.",
    "ref": "An alert's id or its short number.",
    "slug": "The short name of a site.",
    "event_id": "An event's id.",
    "exporter_id": "An exporter's id.",
    "threshold_id": "A threshold's id, such as `default:disk_percent` for one of the settings.",
    "message_id": "A notification's id.",
    "contact_id": "A contact's id.",
    "rule_id": "An event rule's id.",
    "policy_id": "An escalation policy's id, or `default` for the built-in one.",
    "key_id": "A key's id.",
    "user_id": "A person's id.",
    "session_id": "A session's id.",
    "event_type": "An event type, such as `invoice.payment_failed`.",
    "name": "The name of a pattern.",
    "schedule_id": "A schedule's id.",
    "override_id": "An override's id.",
    "swap_id": "The id of a swap that somebody was asked for.",
    "team_id": "A team's id.",
    "feed_id": "A calendar feed's id.",
    "silence_id": "A silence's id.",
    "maintenance_id": "A maintenance's id.",
    "check_id": "A check's id.",
    "dependency_id": "A dependency's id.",
    "heartbeat_id": "A heartbeat's id.",
    "host_id": "A host's id.",
    "token": "The secret part of a heartbeat's address.",
    "what": "`start`, `fail`, or the exit code of the job: 0 is a success.",
}


def document(routes: Sequence[object], public_url: str) -> Document:
    """The whole document for *routes*."""
    found = sorted(_operations(routes), key=lambda one: (one[0], one[1]))
    shapes = {_EVENT, Accepted, Problem}
    paths: dict[str, Any] = {}
    for path, _, handler in found:
        shapes.update(shape for shape in (_shape(handler, "asked"), _shape(handler, "sent"), _answer(handler)) if shape is not None)
        paths.setdefault(path, {})
    schemas, components = _schemas(sorted(shapes, key=lambda shape: shape.__name__))
    for path, method, handler in found:
        paths[path][method] = _operation(path, method, handler, schemas, components)
    paths[INTAKE]["post"] = _intake()
    spoken = {_shape(handler, "sent") for _, _, handler in found} | {_answer(handler) for _, _, handler in found}
    for shape in {_shape(handler, "asked") for _, _, handler in found} - spoken - {None}:
        del components[_name_of(schemas[shape])]  # its fields stand with the calls, as parameters
    return {
        "openapi": "3.1.0",
        "info": {"title": "Tocsin", "version": __version__, "description": DESCRIPTION},
        "servers": [{"url": public_url}],
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": components,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}, "session": _session(public_url)},
        },
    }


def _session(public_url: str) -> dict[str, Any]:
    told = "The dashboard's login. What changes something carries the session's token in `X-CSRF-Token`."
    return {"type": "apiKey", "in": "cookie", "name": cookie_name(public_url), "description": told}


def _operations(routes: Sequence[object]) -> Iterator[tuple[str, str, HTTPRouteHandler]]:
    for route in routes:
        if isinstance(route, HTTPRoute):
            for handler in route.route_handlers:
                if handler.resolve_include_in_schema():
                    for method in handler.http_methods:
                        yield route.path_format, str(method).lower(), handler


def _shape(handler: HTTPRouteHandler, name: str) -> Any:
    """The struct of the query (``asked``) or the body (``sent``); a handler that reads its body by itself names its shape in ``reads``."""
    parameter = handler.parsed_fn_signature.parameters.get(name)
    if parameter is None:
        return handler.opt.get("reads") if name == "sent" else None
    return parameter.annotation


def _answer(handler: HTTPRouteHandler) -> Any:
    """The struct that a handler answers; None for what is no JSON."""
    answer = handler.parsed_fn_signature.return_type.annotation
    if get_origin(answer) is Response:
        (answer,) = get_args(answer)
    return answer if isinstance(answer, type) and issubclass(answer, msgspec.Struct) else None


def _event_shape() -> Any:
    """`EventInput` as the sender sees it: there, attributes stay raw JSON until somebody needs them."""
    hints = get_type_hints(EventInput, include_extras=True)
    hints["attributes"] = Annotated[dict[str, Any], msgspec.Meta(description="At most 16 KiB.")] | None
    optional = [(name, hint, None) for name, hint in hints.items() if name != "type"]
    return msgspec.defstruct("EventInput", [("type", hints["type"]), *optional], forbid_unknown_fields=True)


_EVENT = _event_shape()


def _schemas(shapes: Sequence[Any]) -> tuple[dict[Any, Any], dict[str, Any]]:
    schemas, components = msgspec.json.schema_components(shapes, ref_template=REF)
    event = components["EventInput"]["properties"]
    # The intake checks these by itself, for speed.
    event["type"]["pattern"] = r"^[a-z][a-z0-9_]*(\.[a-z0-9_]+)*$"
    event["id"]["anyOf"][0].update(format="uuid", minLength=36)
    event["site"]["anyOf"][0].update(pattern="^[a-z0-9][a-z0-9-]*$")
    return dict(zip(shapes, schemas, strict=True)), components


def _operation(
    path: str, method: str, handler: HTTPRouteHandler, schemas: Mapping[Any, Any], components: Mapping[str, Any]
) -> dict[str, Any]:
    function = getattr(handler.fn, "func", handler.fn)  # the framework wraps what runs in a thread
    summary, _, more = (function.__doc__ or "").strip().partition("\n")
    row = _row(method, path)
    is_open = row.permission is Permission.OPEN
    operation: dict[str, Any] = {
        "operationId": function.__name__ if path.startswith("/api/v1") else f"{function.__name__}_at_root",
        "tags": list(handler.resolve_tags()) if hasattr(handler, "resolve_tags") else sorted(handler.tags or ()),
        "summary": summary,
        "description": "\n\n".join([*([_dedent(more)] if more.strip() else []), _who(row)]),
        "parameters": [
            *_path_parameters(path),
            *_query_parameters(schemas.get(_shape(handler, "asked")), components),
            *_header_parameters(handler),
        ],
        "responses": _responses(path, handler, schemas, row),
        "security": ([{}, {"key": []}] if handler.opt.get("details") else [])
        if is_open
        else [{"session": []}]
        if row.scope is None
        else [{"key": []}, {"session": []}],
    }
    sent = _shape(handler, "sent")
    if sent is not None:
        operation["requestBody"] = {
            "required": any(field.required for field in msgspec.structs.fields(sent)),
            "content": {"application/json": {"schema": schemas[sent]}},
        }
    return operation


def _row(method: str, path: str) -> Row:
    row = permissions.row(f"{method.upper()} {path}")
    if row is None:
        raise LookupError(f"{method.upper()} {path} has no row in identity/permissions.py")
    return row


def _who(row: Row) -> str:
    """Who may call it, in words."""
    if row.permission is Permission.OPEN:
        return "Open to anybody."
    if row.scope is None:
        return "For people who are logged in; no key may do it."
    return f"Scope: `{row.scope}`" + (", of a key that is for all sites." if row.whole else ".")


def _dedent(text: str) -> str:
    return "\n".join(line.strip() for line in text.strip().splitlines())


def _path_parameters(path: str) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": _PARAMETERS[name],
            "schema": {"type": "string", "minLength": 1},
        }
        for name in re.findall(r"{(\w+)}", path)
    ]


def _name_of(schema: Mapping[str, str]) -> str:
    """The name of a component; two shapes of one name are told apart by their modules."""
    return schema["$ref"].rpartition("/")[2]


def _query_parameters(schema: Mapping[str, str] | None, components: Mapping[str, Any]) -> list[dict[str, Any]]:
    if schema is None:
        return []
    shape = components[_name_of(schema)]
    return [_query_parameter(name, part) for name, part in shape["properties"].items()]


def _query_parameter(name: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    """A parameter that is left out is simply not there: null cannot be said in a query."""
    kinds = [kind for kind in schema.get("anyOf", ()) if kind != {"type": "null"}]
    plain = dict(kinds[0]) if kinds else dict(schema)
    if not kinds or "$ref" in plain:
        plain.pop("default", None) if "$ref" in plain else None
    if schema.get("default") is not None and "$ref" not in plain:
        plain["default"] = schema["default"]
    parameter = {"name": name, "in": "query", "required": False, "schema": plain}
    description = plain.pop("description", None)
    return {**parameter, "description": description} if description else parameter


def _header_parameters(handler: HTTPRouteHandler) -> list[dict[str, Any]]:
    """An agent's card where a handler reads one: ``card`` says whether it must be there."""
    if "card" not in handler.opt:
        return []
    fields = ", ".join(f"`{field.name}`" for field in msgspec.structs.fields(Card))
    described = f"A header: which agent sends, in JSON ({fields}); `at` is its own clock in milliseconds."
    schema = {"type": "string", "maxLength": MAX_CARD, "contentMediaType": "application/json"}
    return [{"name": AGENT_HEADER, "in": "header", "required": handler.opt["card"], "description": described, "schema": schema}]


def _responses(path: str, handler: HTTPRouteHandler, schemas: Mapping[Any, Any], row: Row) -> dict[str, Any]:
    status = str(handler.status_code)
    answer = _answer(handler)
    good: dict[str, Any] = {"description": "Done" if status == "204" else "The answer"}
    if answer is not None:
        good["content"] = {"application/json": {"schema": schemas[answer]}}
    elif produces := handler.opt.get("produces"):
        good["content"] = {produces: {} if produces == "text/event-stream" else {"schema": {"type": "string"}}}
    responses = {status: good, **{str(code): _problem(code) for code in _refusals(path, handler, row)}}
    if handler.opt.get("down"):
        responses["503"] = {**good, "description": "It cannot do its work"}
    return responses


def _refusals(path: str, handler: HTTPRouteHandler, row: Row) -> Iterator[int]:
    asked, sent = _shape(handler, "asked"), _shape(handler, "sent")
    if row.permission is not Permission.OPEN:
        yield from (401, 403, 429)
    elif handler.opt.get("paced"):
        yield 429
    if handler.opt.get("proved"):
        yield 403
    fields = set(asked.__struct_fields__) if asked is not None else set()
    if "{" in path or fields & {"site", "alert", "schedule"}:
        yield 404
    if handler.opt.get("conflict") or "/alerts/{ref}/" in path:
        yield 409
    if sent is not None:
        yield from (413, 415)
    if sent is not None or asked is not None or handler.http_methods & {"PUT", "DELETE"}:
        yield 422
    yield 503


def _problem(code: int) -> dict[str, Any]:
    return {"description": _REASONS[code], "content": {CONTENT_TYPE: {"schema": {"$ref": REF.format(name="Problem")}}}}


def _intake() -> dict[str, Any]:
    """The one route that stands before the framework (intake.py)."""
    one = {"$ref": REF.format(name="EventInput")}
    example = {"type": "invoice.payment_failed", "subject": "invoice:1042", "attributes": {"gateway": "stripe"}}
    return {
        "operationId": "send_events",
        "tags": ["Events"],
        "summary": "Takes events, and answers once they are stored.",
        "description": (
            "One event object, an array of at most 1,000, or NDJSON (at most 10,000 lines); at most 8 MiB, unpacked."
            " An `id` makes sending again harmless. The answer comes after the events are durable, with the alerts and"
            " messages that follow from them. What cannot be taken is listed and kept in quarantine.\n\nScope: `ingest`."
        ),
        "parameters": [
            {
                "name": "X-Tocsin-Signature",
                "in": "header",
                "required": False,
                "description": "`t=UNIX,v1=HEX`: HMAC-SHA256 of `t.body` under the key, not older than 5 minutes. Checked if sent.",
                "schema": {"type": "string"},
            },
        ],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {"anyOf": [one, {"type": "array", "items": one, "maxItems": MAX_ARRAY}]},
                    "examples": {"one event": {"value": example}, "several": {"value": [example, {"type": "ticket.opened"}]}},
                },
                "application/x-ndjson": {
                    "schema": {"type": "string", "description": f"At most {MAX_LINES} lines, each one event."},
                    "examples": {"two lines": {"value": '{"type": "disk.full", "host": "srv-12"}\n{"type": "ticket.opened"}\n'}},
                },
            },
        },
        "responses": {
            "202": {
                "description": "Stored; `ids` has one entry for each input, null where it was rejected",
                "content": {"application/json": {"schema": {"$ref": REF.format(name="Accepted")}}},
            },
            **{str(code): _problem(code) for code in (401, 403, 413, 415, 422, 429, 503)},
        },
        "security": [{"key": []}],
    }
