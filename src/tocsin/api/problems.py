"""One error shape for the whole API: RFC 9457 problem documents."""

import msgspec

from tocsin.core.errors import (
    Conflict,
    FieldError,
    InvalidInput,
    NotAllowed,
    NotAuthenticated,
    NotFound,
    TocsinError,
    TooLarge,
    TooMany,
    Unavailable,
)

CONTENT_TYPE = "application/problem+json"

_STATUS: tuple[tuple[type[TocsinError], int, str], ...] = (
    (InvalidInput, 422, "The input is not valid"),
    (NotAuthenticated, 401, "No good key was sent"),
    (NotAllowed, 403, "This key may not do that"),
    (NotFound, 404, "There is no such thing"),
    (Conflict, 409, "The present state forbids that"),
    (TooLarge, 413, "That is too much at once"),
    (TooMany, 429, "That is too often"),
    (Unavailable, 503, "Tocsin cannot take this now"),
)


class UnsupportedContent(Exception):
    """The body has a content type that this route does not read; the text says which it does."""


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """The body of every error. ``errors`` names the fields of invalid input."""

    type: str
    title: str
    status: int
    detail: str
    errors: tuple[FieldError, ...] = ()


class Answer(msgspec.Struct, frozen=True):
    """A status, headers and a body, ready to be sent."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


def problem_of(error: TocsinError) -> Problem:
    """The problem document for one of our errors."""
    for kind, status, title in _STATUS:
        if isinstance(error, kind):
            errors = error.errors if isinstance(error, InvalidInput) else ()
            return Problem(f"urn:tocsin:{kind.__name__}", title, status, error.message, errors)
    return Problem("urn:tocsin:TocsinError", "That did not work", 500, error.message)


def headers_of(error: TocsinError) -> dict[str, str]:
    """Headers that go with the error: when to try again, how to authenticate."""
    if isinstance(error, TooMany | Unavailable):
        return {"Retry-After": str(error.retry_after)}
    if isinstance(error, NotAuthenticated):
        return {"WWW-Authenticate": "Bearer"}
    return {}


def answer_of(error: TocsinError) -> Answer:
    """The whole answer for one of our errors, for ASGI code outside the framework."""
    problem = problem_of(error)
    body = msgspec.json.encode(problem)
    headers = [(name.lower().encode(), value.encode()) for name, value in headers_of(error).items()]
    return Answer(problem.status, [(b"content-type", CONTENT_TYPE.encode()), *headers], body)


def plain_answer(status: int, title: str, detail: str) -> Answer:
    """A problem that is none of our errors: a wrong method, a wrong content type."""
    body = msgspec.json.encode(Problem(f"urn:tocsin:http-{status}", title, status, detail))
    return Answer(status, [(b"content-type", CONTENT_TYPE.encode())], body)


def framework_words(status: int) -> tuple[str, str]:
    """The title and advice for a refusal that the framework decided: unknown path, wrong method, too large a body."""
    return _FRAMEWORK.get(status, ("That did not work", "Look at docs/reference/http-api.md, or at /api/docs on this server"))


_FRAMEWORK = {
    400: ("The request cannot be read", "Look at /api/docs on this server for what it should be"),
    404: ("There is no such thing", "No route has this address; /api/docs on this server lists them"),
    405: ("That method is not for this address", "The header Allow names those that are"),
    413: ("That is too much at once", "At most 1 MiB is read here"),
    415: ("Not a content type that is read here", "Send application/json"),
}
