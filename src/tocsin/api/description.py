"""``/api/openapi.json``: the API, described."""

from collections.abc import Callable
from typing import Any

import msgspec
from litestar import Controller, Response, get
from litestar.di import NamedDependency
from litestar.params import SkipValidation

TheDocument = NamedDependency[SkipValidation[Callable[[], dict[str, Any]]]]


class DescriptionApi(Controller):
    """The OpenAPI document."""

    include_in_schema = False

    @get("/api/openapi.json", sync_to_thread=True)
    def openapi_document(self, openapi: TheDocument) -> Response[bytes]:
        """The OpenAPI 3.1 document of this server."""
        return Response(msgspec.json.encode(openapi()), media_type="application/json")
