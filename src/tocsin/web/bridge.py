"""The bridge for WHMCS as a download, with this server's address and a key filled in."""

import io
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

from tocsin import shipped

PLACE = "modules/addons/tocsin"  # in the folder of WHMCS
BROUGHT = "brought.php"  # what the add-on takes over once, when it is activated


def find() -> Path:
    """The folder with the bridge's files. Raises `NotFound` if this installation lacks it."""
    return shipped.place("bridge", f"php/{PLACE}", "the bridge's files")


def archive(folder: Path, server_url: str, key: str) -> bytes:
    """A ZIP of what is in *folder*, to be unpacked in the folder of WHMCS."""
    packed = io.BytesIO()
    with ZipFile(packed, "w", ZIP_DEFLATED) as file:
        for one in sorted(folder.rglob("*.php")):
            if one.name != BROUGHT:
                file.write(one, f"{PLACE}/{one.relative_to(folder)}")
        file.writestr(f"{PLACE}/{BROUGHT}", f"<?php return ['server_url' => {_php(server_url)}, 'api_key' => {_php(key)}];\n")
    return packed.getvalue()


def _php(text: str) -> str:
    """*text* as PHP writes it."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
