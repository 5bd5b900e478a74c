"""What a request hears when something is wrong: one shape, whoever noticed it."""

from typing import Any

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException

from tocsin.api.problems import CONTENT_TYPE, Problem, UnsupportedContent, framework_words, headers_of, problem_of
from tocsin.core.errors import TocsinError

log = structlog.get_logger()

AnyRequest = Request[Any, Any, Any]


def _answer(problem: Problem, headers: dict[str, str]) -> Response[bytes]:
    body = msgspec.json.encode(problem)
    return Response(body, status_code=problem.status, media_type=CONTENT_TYPE, headers={**headers, "Cache-Control": "no-store"})


def on_ours(_request: AnyRequest, error: TocsinError) -> Response[bytes]:
    """One of our own errors: its text is meant for the sender."""
    return _answer(problem_of(error), headers_of(error))


def on_content(_request: AnyRequest, error: UnsupportedContent) -> Response[bytes]:
    """A body of another kind than the route reads."""
    return _answer(_plain(415, str(error)), {})


def on_framework(request: AnyRequest, error: HTTPException) -> Response[bytes]:
    """Refused before a handler ran: no such path, no such method, too large."""
    if error.status_code >= 500:
        return on_fault(request, error)
    headers = dict(error.headers or {})
    return _answer(_plain(error.status_code), headers)


def on_fault(request: AnyRequest, error: Exception) -> Response[bytes]:
    """Something that nobody foresaw. The log names the route, never the address: that may hold the token of a link."""
    log.error("request failed", method=request.method, route=request.scope.get("path_template"), exc_info=error)
    return _answer(Problem("urn:tocsin:http-500", "A fault of ours", 500, "It is in the log. Please report it."), {})


def _plain(status: int, detail: str | None = None) -> Problem:
    title, advice = framework_words(status)
    return Problem(f"urn:tocsin:http-{status}", title, status, detail or advice)
