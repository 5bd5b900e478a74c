"""The session cookie, where to go after a login, and reading forms.

The guard lets a person in and checks what a form carries to show that it is ours: every form that posts holds
``{{ csrf(viewer) }}`` of macros.html. A handler names ``viewer: TheViewer``, and reads its fields with `form`.
"""

from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import msgspec
from litestar import Request, Response
from litestar.datastructures import Cookie

from tocsin.core.errors import InvalidInput, UnknownFields
from tocsin.core.reading import read_form
from tocsin.core.text import sentence
from tocsin.identity.rules import SESSION_LASTS
from tocsin.web.pages import HEADERS

AnyRequest = Request[Any, Any, Any]
Shape = TypeVar("Shape", bound=msgspec.Struct)

NOT_ASKED = frozenset({"csrf"})  # read by the guard
MAX_NEXT = 2_000
AFTER_LOGIN = "/"


class Problems(dict[str, str]):
    """What is wrong with a form, by field; nothing with any other."""

    def __missing__(self, field: str) -> str:
        """For templates, which ask for each field."""
        return ""


class NoFields(msgspec.Struct, frozen=True):
    """The form of a button that says all by being pressed."""


async def form(request: AnyRequest, shape: type[Shape]) -> Shape:
    """The form's fields as a *shape*. Raises `InvalidInput` for each that is wrong, or that the form does not have."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise InvalidInput.of("form", "must be sent as a page sends it: application/x-www-form-urlencoded")
    return read_form(await request.body(), shape, ignored=NOT_ASKED)


def address_of(request: AnyRequest) -> str:
    """The caller's address: behind a proxy on this machine, the one that the proxy names."""
    return request.client.host if request.client else ""


def problems(error: InvalidInput, on_page: Callable[[str], str] = str) -> Problems:
    """What is wrong, by field, as sentences to stand below the field: the first of each. *on_page*: what the page calls a field.

    A field that the form does not have is no mistake of the person's, and is raised again: somebody tries what may be let in.
    """
    if isinstance(error, UnknownFields):
        raise error
    found = Problems()
    for one in error.errors:
        found.setdefault(on_page(one.field), sentence(one.message))
    return found


# --- The cookie


def keep(response: Response[bytes], name: str, token: str) -> Response[bytes]:
    """*response*, telling the browser to keep the session. *name* begins with ``__Host-`` where pages are served by HTTPS."""
    response.set_cookie(_cookie(name, token, SESSION_LASTS // 1000))
    return response


def drop(response: Response[bytes], name: str) -> Response[bytes]:
    """*response*, telling the browser to forget the session."""
    response.set_cookie(_cookie(name, "", 0))
    return response


def _cookie(name: str, value: str, seconds: int) -> Cookie:
    return Cookie(key=name, value=value, path="/", max_age=seconds, httponly=True, secure=name.startswith("__Host-"), samesite="lax")


# --- Going elsewhere


def local_path(text: str) -> str:
    """*text*, if it is an address on this server that one may be sent to; else the start page."""
    good = (
        0 < len(text) <= MAX_NEXT
        and text.isascii()
        and text.isprintable()
        and text.startswith("/")
        and not text.startswith("//")
        and "\\" not in text
        and ".." not in text.partition("?")[0].split("/")
        and not text.startswith(("/login", "/logout", "/api/"))
    )
    return text if good else AFTER_LOGIN


def go(path: str, *, depth: int = 0) -> Response[bytes]:
    """Sends the browser to *path* (``/alerts``) by GET. *depth*: that of the page which answers; a proxy may add a path in front."""
    address = ("../" * depth or "./") + path.removeprefix("/")
    return Response(b"", status_code=303, headers={**HEADERS, "Location": address})


def to_login(request: AnyRequest) -> Response[bytes]:
    """Sends somebody without a session to the login, and from there back to where they were."""
    depth = request.scope["path"].count("/") - 1
    address = f"/login?next={quote(local_path(_where(request)), safe='')}"
    if request.headers.get("hx-request") == "true":  # a script would put the login page into a corner of the page
        return Response(b"", status_code=401, headers={**HEADERS, "HX-Redirect": ("../" * depth or "./") + address.removeprefix("/")})
    return go(address, depth=depth)


def _where(request: AnyRequest) -> str:
    """The page that the person looks at: for a form or a script, the one that it stands on."""
    if request.method == "GET" and request.headers.get("hx-request") != "true":
        query = request.scope["query_string"].decode("latin-1")
        return str(request.scope["path"]) + (f"?{query}" if query else "")
    parts = urlsplit(request.headers.get("hx-current-url") or request.headers.get("referer") or "")
    return parts.path + (f"?{parts.query}" if parts.query else "")
