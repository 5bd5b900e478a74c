"""The few files that pages need, kept in memory under names that hold their digest, so that browsers may keep them for ever."""

import hashlib
import re
from pathlib import Path

import msgspec

_FOLDER = Path(__file__).parent / "static"
_TYPES = {".css": "text/css; charset=utf-8", ".woff2": "font/woff2", ".svg": "image/svg+xml", ".txt": "text/plain; charset=utf-8"}
_URL = re.compile(r'url\("([\w.-]+)"\)')


class StaticFile(msgspec.Struct, frozen=True):
    """A file ready to be sent."""

    content: bytes
    media_type: str


class Statics:
    """All static files, by their name with digest: ``tocsin.1f0c...e2.css``."""

    def __init__(self, folder: Path = _FOLDER) -> None:
        """Reads the folder; style sheets last, since they name the others."""
        self._names: dict[str, str] = {}
        self._files: dict[str, StaticFile] = {}
        for path in sorted(folder.iterdir(), key=lambda path: (path.suffix == ".css", path.name)):
            content = path.read_bytes()
            if path.suffix == ".css":
                content = _URL.sub(lambda match: f'url("{self._names[match[1]]}")', content.decode()).encode()
            self._add(path, content)

    def _add(self, path: Path, content: bytes) -> None:
        name = f"{path.stem}.{hashlib.sha256(content).hexdigest()[:16]}{path.suffix}"
        self._names[path.name] = name
        self._files[name] = StaticFile(content, _TYPES[path.suffix])

    def name(self, plain: str) -> str:
        """The name with digest of a file: what a page links to."""
        return self._names[plain]

    def find(self, name: str) -> StaticFile | None:
        """The file of this name with digest."""
        return self._files.get(name)
