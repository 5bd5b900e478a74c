"""``/design``: every part that pages are made of, on one page, while Tocsin itself is being made (``WHMCS_ENV=development``)."""

from litestar import Controller, Response, get

from tocsin.core.errors import NotFound
from tocsin.web.pages import AnyRequest, screen
from tocsin.web.start import TheServer
from tocsin.web.viewer import TheViewer


class DesignPage(Controller):
    """The design system."""

    include_in_schema = False

    @get("/design", sync_to_thread=True)
    def design(self, request: AnyRequest, server: TheServer, viewer: TheViewer) -> Response[bytes]:
        """Shows each part once."""
        if server.core.settings.whmcs_env != "development":
            raise NotFound("there is no page here")
        return screen(request, viewer, "design.html", here="design")
