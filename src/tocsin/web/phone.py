"""What makes the dashboard an app on a phone: its manifest and its service worker. Both hold nothing about anybody."""

import hashlib
from functools import cache

import msgspec
from litestar import Controller, Response, get

from tocsin import __version__
from tocsin.web.pages import environment, statics
from tocsin.web.statics import FOLDER

# What a page needs when there is no network. The names hold digests: a new release is a new shell.
_SHELL = ("tocsin.css", "besley-680.woff2", "htmx.min.js", "idiomorph-ext.min.js", "favicon.svg", "icon-192.png")


class PhoneFiles(Controller):
    """Files that stand at the root, since their place says what they are for."""

    include_in_schema = False

    @get("/manifest.webmanifest", sync_to_thread=False)
    def manifest(self) -> Response[bytes]:
        """Name, icons and colours."""
        return Response(_manifest(), media_type="application/manifest+json", headers={"Cache-Control": "public, max-age=3600"})

    @get("/sw.js", sync_to_thread=True)
    def service_worker(self) -> Response[bytes]:
        """The service worker; browsers look for a new one at each visit."""
        headers = {"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}
        return Response(_service_worker(), media_type="text/javascript; charset=utf-8", headers=headers)


@cache
def _manifest() -> bytes:
    def icon(name: str, size: int, purpose: str) -> dict[str, str]:
        return {"src": f"static/{statics().name(name)}", "sizes": f"{size}x{size}", "type": "image/png", "purpose": purpose}

    return msgspec.json.encode(
        {
            "id": "./",
            "name": "Tocsin",
            "short_name": "Tocsin",
            "description": "Is everything all right, and who has it?",
            "start_url": "./",
            "scope": "./",
            "display": "standalone",
            "background_color": "#0e1a35",
            "theme_color": "#0e1a35",
            "icons": [
                icon("icon-192.png", 192, "any"),
                icon("icon-512.png", 512, "any"),
                icon("icon-maskable-512.png", 512, "maskable"),
            ],
            "shortcuts": [{"name": "Alerts", "url": "alerts", "icons": [icon("icon-192.png", 192, "any")]}],
        }
    )


@cache
def _service_worker() -> bytes:
    modules = [path.name for path in sorted((FOLDER / "js").glob("*.js")) if path.name not in ("chart.js", "tail.js")]
    files = [f"static/{statics().name(name)}" for name in (*_SHELL, *modules)]
    digest = hashlib.sha256("".join(files).encode()).hexdigest()[:16]
    text = environment().get_template("sw.js").render(version=__version__, digest=digest, files=msgspec.json.encode(files).decode())
    return text.encode()
