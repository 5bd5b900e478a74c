"""The readable API reference, and what browsers ask for by themselves."""

from collections.abc import Callable
from typing import Any

from litestar import Controller, Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath, SkipValidation

from tocsin.bootstrap import Server
from tocsin.core.errors import NotFound
from tocsin.web.pages import AnyRequest, page, statics
from tocsin.web.reference import Reference

TheServer = NamedDependency[SkipValidation[Server]]
InPath = FromPath[str]
TheDocument = NamedDependency[SkipValidation[Callable[[], dict[str, Any]]]]

FOR_EVER = "public, max-age=31536000, immutable"


class StartPages(Controller):
    """Pages that show nothing private."""

    include_in_schema = False

    @get("/api/docs", sync_to_thread=True)
    def docs(self, openapi: TheDocument) -> Response[bytes]:
        """The OpenAPI document for people."""
        return page("reference.html", depth=1, reference=Reference.of(openapi()))

    @get("/static/{name:str}", sync_to_thread=False)
    def static(self, request: AnyRequest, name: InPath) -> Response[bytes]:
        """One of the files that pages need."""
        found = statics().find(name)
        if found is None:
            raise NotFound(f"there is no file {name[:60]}")
        headers = {"Cache-Control": FOR_EVER, "X-Content-Type-Options": "nosniff", "Cross-Origin-Resource-Policy": "same-origin"}
        content = found.content
        if found.packed:
            headers["Vary"] = "Accept-Encoding"
            if "gzip" in request.headers.get("accept-encoding", ""):
                content = found.packed
                headers["Content-Encoding"] = "gzip"
        return Response(content, media_type=found.media_type, headers=headers)

    @get("/favicon.ico", sync_to_thread=False)
    def favicon(self) -> Response[bytes]:
        """The bell."""
        found = statics().find(statics().name("favicon.svg"))
        content = found.content if found else b""
        return Response(content, media_type="image/svg+xml", headers={"Cache-Control": "public, max-age=86400"})

    @get("/robots.txt", sync_to_thread=False)
    def robots(self) -> Response[bytes]:
        """Nothing here is for search engines."""
        return Response(b"User-agent: *\nDisallow: /\n", media_type="text/plain")
