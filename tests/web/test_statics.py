"""What browsers load: our own files and a few of others, unchanged, under names that change with their content."""

import gzip
import hashlib
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.api.service import Service
from tocsin.web.pages import statics
from tocsin.web.statics import FOLDER, Statics

VENDORED = tomllib.loads((FOLDER / "vendor" / "vendored.toml").read_text())["package"]
FILES = {name: digest for package in VENDORED for name, digest in package["files"].items()}


def test_every_vendored_file_is_listed_and_unchanged() -> None:
    there = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (FOLDER / "vendor").iterdir() if path.suffix != ".toml"}
    assert there == FILES


@pytest.mark.parametrize("package", VENDORED, ids=lambda package: package["name"])
def test_every_vendored_package_keeps_its_licence(package: dict[str, Any]) -> None:
    licence = next(name for name in package["files"] if name.endswith(".LICENSE.txt"))
    assert len((FOLDER / "vendor" / licence).read_text()) > 500
    assert package["license"] in ("0BSD", "MIT", "OFL-1.1")


def test_nothing_is_loaded_from_elsewhere() -> None:
    for path in [*FOLDER.rglob("*.css"), *FOLDER.glob("js/*.js"), *FOLDER.parent.glob("templates/*.html")]:
        for address in re.findall(r"""(?:src|href|url\(|from|import)\s*[=(]?\s*["']?(https?:|//)""", path.read_text()):
            pytest.fail(f"{path.name} loads from {address}")


def test_no_template_holds_inline_code_or_style() -> None:
    for path in FOLDER.parent.glob("templates/*.html"):
        text = path.read_text()
        assert not re.search(r"\sstyle=", text), path.name
        assert not re.search(r"\son[a-z]+=", text), path.name
        assert not re.search(r"<script(?![^>]*\ssrc=)", text), path.name
        assert not re.search(r"<script(?![^>]*nonce=)", text), path.name
        assert "javascript:" not in text, path.name


def test_a_module_names_the_others_by_their_digest(tmp_path: Path) -> None:
    make_folder(tmp_path, {"js/a.js": 'import { b } from "./b.js";\nb();', "js/b.js": "export const b = () => 1;"})
    files = Statics(tmp_path)
    module = files.find(files.name("a.js"))
    assert module is not None
    assert f'from "./{files.name("b.js")}"'.encode() in module.content
    changed = make_folder(tmp_path / "later", {"js/a.js": 'import { b } from "./b.js";\nb();', "js/b.js": "export const b = () => 2;"})
    assert Statics(changed).name("a.js") != files.name("a.js")


def test_modules_in_a_circle_are_refused(tmp_path: Path) -> None:
    make_folder(tmp_path, {"js/a.js": 'import "./b.js";', "js/b.js": 'import "./a.js";'})
    with pytest.raises(ValueError, match=r"a\.js -> b\.js -> a\.js"):
        Statics(tmp_path)


def make_folder(folder: Path, files: dict[str, str]) -> Path:
    for name in ("vendor", "css", "js"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


async def test_files_are_kept_for_ever_and_sent_packed(sqlite_service: Service) -> None:
    name = statics().name("tocsin.css")
    plain = await sqlite_service.client.get(f"/static/{name}", headers={"Accept-Encoding": "identity"})
    assert plain.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert "content-encoding" not in plain.headers
    packed = await sqlite_service.client.get(f"/static/{name}", headers={"Accept-Encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.text == plain.text


async def test_a_name_without_digest_is_no_file(sqlite_service: Service) -> None:
    assert (await sqlite_service.client.get("/static/tocsin.css")).status_code == 404


def test_comments_stay_here_and_nothing_else_does(tmp_path: Path) -> None:
    sheet = '/* why */\na { color: red; }\n  /* because\n  of that */ b::after { content: "// no comment"; }\n'
    module = '// why\nexport const a = "http://x"; // said beside it\n  // more\nexport const b = 1;\n'
    files = Statics(make_folder(tmp_path, {"css/a.css": sheet, "js/a.js": module}))
    served = {name: files.find(files.name(name)) for name in ("tocsin.css", "a.js")}
    assert served["tocsin.css"] is not None
    assert served["tocsin.css"].content.split(b"\n") == [b"", b"a { color: red; }", b' b::after { content: "// no comment"; }', b""]
    assert served["a.js"] is not None
    assert served["a.js"].content == b'export const a = "http://x"; // said beside it\nexport const b = 1;\n'


def test_packing_loses_nothing() -> None:
    files = statics()
    sheet = files.find(files.name("tocsin.css"))
    assert sheet is not None
    assert gzip.decompress(sheet.packed) == sheet.content
