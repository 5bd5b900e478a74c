"""Pages: one look, one set of headers, templates that escape everything."""

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from litestar import Response

from tocsin.web.statics import Statics

# Nothing is loaded from elsewhere, nothing runs, nobody may frame a page with a button, and no address (it may hold a
# link's token) is told to others, kept by a cache or found by a search engine.
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; font-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex, nofollow",
}


@cache
def statics() -> Statics:
    """The static files, read once."""
    return Statics()


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("tocsin.web"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.globals["static"] = lambda name: f"static/{statics().name(name)}"
    return environment


def page(template: str, status: int = 200, *, depth: int = 0, **values: object) -> Response[bytes]:
    """A page from *template*. *depth*: how many folders deep its address is: links are relative, since a proxy may add a path."""
    html = _environment().get_template(template).render(up="../" * depth, **values)
    return Response(html.encode(), status_code=status, media_type="text/html; charset=utf-8", headers=HEADERS)


def notice(status: int, title: str, advice: str, *, depth: int = 0) -> Response[bytes]:
    """A page that says one thing: what is the matter, and what to do."""
    return page("notice.html", status, depth=depth, title=title, advice=advice)
