"""The few files that pages need, kept in memory under names that hold their digest, so that browsers may keep them for ever.

What stands in ``css/`` is served as one style sheet, in the order of the names; modules in ``js/`` find each other by the
names with digests. Comments and indentation are for who reads the source, and stay here. Nothing is built: this happens when
the server starts to serve pages.
"""

import gzip
import hashlib
import re
from pathlib import Path

import msgspec

FOLDER = Path(__file__).parent / "static"
SHEET = "tocsin.css"
_TYPES = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".woff2": "font/woff2",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".txt": "text/plain",
}
_PACKED = {".woff2", ".png"}  # compressed by themselves
_SHEET_NOTES = re.compile(r"/\*.*?\*/|(?<=\n)[ \t\n]+", re.DOTALL)
_MODULE_NOTES = re.compile(r"^[ \t]*//.*\n", re.MULTILINE)
_URL = re.compile(r'url\("([\w.-]+)"\)')
_IMPORT = re.compile(r'((?:from|import)\s*\(?\s*)"\./([\w.-]+\.js)"')


class StaticFile(msgspec.Struct, frozen=True):
    """A file ready to be sent; ``packed`` is the same by gzip, empty where that gains nothing."""

    content: bytes
    packed: bytes
    media_type: str


class Statics:
    """All static files, by their name with digest: ``tocsin.1f0c...e2.css``."""

    def __init__(self, folder: Path = FOLDER) -> None:
        """Reads the folder: first what names no other file, then the style sheet and the modules, which do."""
        self._names: dict[str, str] = {}
        self._files: dict[str, StaticFile] = {}
        for path in [*sorted(folder.glob("*.*")), *sorted((folder / "vendor").glob("*.*"))]:
            if path.suffix in _TYPES:
                self._add(path.name, path.read_bytes())
        sheet = "\n".join(path.read_text() for path in sorted((folder / "css").glob("*.css")))
        sheet = _URL.sub(lambda match: f'url("{self._names[match[1]]}")', sheet)
        self._add(SHEET, _SHEET_NOTES.sub("", sheet).encode())
        self._modules = {path.name: _MODULE_NOTES.sub("", path.read_text()) for path in sorted((folder / "js").glob("*.js"))}
        for name in self._modules:
            self._add_module(name, ())

    def _add(self, plain: str, content: bytes) -> None:
        stem, _, suffix = plain.rpartition(".")
        name = f"{stem}.{hashlib.sha256(content).hexdigest()[:16]}.{suffix}"
        packed = b"" if f".{suffix}" in _PACKED else gzip.compress(content, 9, mtime=0)
        self._names[plain] = name
        self._files[name] = StaticFile(content, packed, _TYPES[f".{suffix}"])

    def _add_module(self, name: str, wanted_by: tuple[str, ...]) -> str:
        """A module, after those that it imports; answers its name with digest. A circle of imports has no digest."""
        if name in wanted_by:
            raise ValueError(f"modules import each other in a circle: {' -> '.join((*wanted_by, name))}")
        if name not in self._names:
            text = _IMPORT.sub(lambda match: f'{match[1]}"./{self._add_module(match[2], (*wanted_by, name))}"', self._modules[name])
            self._add(name, text.encode())
        return self._names[name]

    def name(self, plain: str) -> str:
        """The name with digest of a file: what a page links to."""
        return self._names[plain]

    def find(self, name: str) -> StaticFile | None:
        """The file of this name with digest."""
        return self._files.get(name)
