"""Pages: one look, one set of headers, templates that escape everything.

`page` is for pages without the rail (links in messages, login, errors), `screen` for the dashboard's own.
"""

import gzip
import re
import secrets
from collections.abc import Callable
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined
from litestar import Request, Response
from markupsafe import Markup, escape

from tocsin.web.desk import Desk
from tocsin.web.devices import device
from tocsin.web.markdown import markdown
from tocsin.web.nav import SETTINGS, WATCH, places
from tocsin.web.statics import Statics
from tocsin.web.times import Times
from tocsin.web.viewer import Viewer, zone_named

WORTH_PACKING = 1_000  # bytes
MS_DIGITS = 15

AnyRequest = Request[Any, Any, Any]

# Nobody may frame a page with a button, and no address (it may hold a link's token) is told to others, kept by a cache or
# found by a search engine.
_ALWAYS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Referrer-Policy": "same-origin",  # and not `no-referrer`: browsers would then not say of a form where it comes from
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex, nofollow",
}
_SAFE = (
    "default-src 'none'; style-src 'self'; font-src 'self'; img-src 'self' data: blob:; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
# Nothing is loaded from elsewhere; on these pages nothing runs.
HEADERS = {**_ALWAYS, "Content-Security-Policy": _SAFE}


def headers_for(nonce: str) -> dict[str, str]:
    """The headers of a page whose script elements carry *nonce*: nothing else runs, and nothing is evaluated."""
    policy = f"{_SAFE}; script-src 'nonce-{nonce}'; connect-src 'self'; manifest-src 'self'; worker-src 'self'"
    return {**_ALWAYS, "Content-Security-Policy": policy}


@cache
def statics() -> Statics:
    """The static files, read once."""
    return Statics()


@cache
def environment() -> Environment:
    """The templates; a name that a page does not give is an error, not an empty place."""
    made = Environment(loader=PackageLoader("tocsin.web"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    made.filters["nb"] = nb
    made.filters["markdown"] = markdown
    made.filters["device"] = device
    made.globals["settings_places"] = SETTINGS
    made.globals["watch_places"] = WATCH
    made.globals["static"] = lambda name: f"static/{statics().name(name)}"
    return made


def is_partial(request: AnyRequest) -> bool:
    """Whether a script asks, which puts the answer into the page at hand."""
    return bool(request.headers.get("hx-request") == "true")


def news_since(request: AnyRequest) -> int | None:
    """When a page heard the last news (ms) that asks by itself for what is new on it (`live.js`).

    None: somebody asks, who may just have done something and wants to see the effect.
    """
    said = request.headers.get("hx-renewal", "")
    return int(said) if said.isascii() and said.isdigit() and len(said) <= MS_DIGITS else None


def fragment(template: str, viewer: Viewer, request: AnyRequest, *, status: int = 200, **values: object) -> Response[bytes]:
    """A piece of a page for a script, which then also renews what it shows of alerts."""
    up = "../" * (page_path(request).count("/") - 1)
    html = environment().get_template(template).render(up=up, url=_addresses(up), viewer=viewer, **values)
    headers = {**HEADERS, "HX-Trigger": "tocsin:changed"}
    return Response(html.encode(), status_code=status, media_type="text/html", headers=headers)


def page_path(request: AnyRequest) -> str:
    """The path of the page that the person looks at: a script's pieces are put there, so addresses are relative to it."""
    shown = request.headers.get("hx-current-url")
    return urlsplit(shown).path if shown and is_partial(request) else str(request.scope["path"])


def _addresses(up: str) -> Callable[[str], str]:
    return lambda address: f"{up}{address.removeprefix('/')}" or "./"


_HOST = re.compile(r"\b[A-Za-z]+-[0-9]+\b")


def nb(text: str) -> Markup:
    """*text* with the names of hosts (``srv-12``) kept in one piece."""
    return Markup(_HOST.sub(lambda match: f'<span class="nb">{match[0]}</span>', str(escape(text))))  # noqa: S704 - escaped before


def page(template: str, status: int = 200, *, depth: int = 0, **values: object) -> Response[bytes]:
    """A page from *template*. *depth*: how many folders deep its address is: links are relative, since a proxy may add a path."""
    html = environment().get_template(template).render(up="../" * depth, **values)
    return Response(html.encode(), status_code=status, media_type="text/html", headers=HEADERS)


def notice(status: int, title: str, advice: str, *, depth: int = 0) -> Response[bytes]:
    """A page that says one thing: what is the matter, and what to do."""
    return page("notice.html", status, depth=depth, title=title, advice=advice)


def screen(
    request: AnyRequest, viewer: Viewer, template: str, *, status: int = 200, as_of: int | None = None, **values: object
) -> Response[bytes]:
    """A page of the dashboard, as *viewer* sees it now, or as it was at *as_of* (ms). Reads the database: not in the loop.

    The template extends ``layout.html``; what it may use besides *values*: see docs/reference/dashboard.md.
    """
    desk: Desk = request.app.state.desk
    path = request.scope["path"]
    up = "../" * (path.count("/") - 1)
    nonce = secrets.token_urlsafe(16)
    now = desk.now()
    html = (
        environment()
        .get_template(template)
        .render(
            up=up,
            url=_addresses(up),
            path=path,
            nonce=nonce,
            viewer=viewer,
            places=[place for place in places() if viewer.may(place.permission)],
            places_open=desk.needs_action(viewer.site_ids, news_since(request)),
            times=Times(zone_named(viewer.time_zone), now),
            now=now,
            **values,
        )
        .encode()
    )
    headers = headers_for(nonce) if as_of is None else {**headers_for(nonce), "X-As-Of": str(as_of)}
    return _packed(request, html, "text/html", headers, status)


def chart_data(request: AnyRequest, drawn: object) -> Response[bytes]:
    """What a chart draws, for the script that draws it. Packs it: not in the loop."""
    return _packed(request, msgspec.json.encode(drawn), "application/json", HEADERS)


def _packed(request: AnyRequest, body: bytes, media_type: str, headers: dict[str, str], status: int = 200) -> Response[bytes]:
    """Compressed, if that is worth it and understood."""
    if len(body) > WORTH_PACKING and "gzip" in request.headers.get("accept-encoding", ""):
        body = gzip.compress(body, 4, mtime=0)
        headers = {**headers, "Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
    return Response(body, status_code=status, media_type=media_type, headers=headers)
