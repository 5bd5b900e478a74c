"""A WHMCS to test the bridge in: a folder with the bridge installed, and a PHP process per page view."""

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[2]
CONTRACT = REPOSITORY / "contracts" / "whmcs-hooks.json"
STANDIN = Path(__file__).parent / "whmcs_standin" / "drive.php"
ADDON = "modules/addons/tocsin"
Process = subprocess.Popen[bytes]
Step = dict[str, Any]
Event = dict[str, Any]
Hook = dict[str, Any]

PHP = ["php", "-d", "display_errors=stderr", "-d", "error_reporting=-1"]


def contract() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(CONTRACT.read_text())
    return content


def hooks(kind: str) -> dict[str, Hook]:
    return {hook["name"]: hook for hook in contract()["hooks"] if hook["kind"] == kind}


class Whmcs:
    """`load` is the hook file of the variant under test."""

    def __init__(self, parent: Path) -> None:
        self.root = parent.resolve() / "whmcs"
        self.root.mkdir()
        self.folder = self.root.parent / f"tocsin-whmcs-{hashlib.sha1(str(self.root).encode()).hexdigest()[:8]}"
        self.load = ""

    def install_addon(self, **settings: object) -> "Whmcs":
        shutil.copytree(REPOSITORY / "php" / ADDON, self.root / ADDON)
        self.load = f"{ADDON}/hooks.php"
        if settings:
            self.folder.mkdir(mode=0o700)
            (self.folder / "config.json").write_text(json.dumps(settings))
        return self

    def install_single_file(self, **settings: object) -> "Whmcs":
        (self.root / "includes/hooks").mkdir(parents=True)
        shutil.copy(REPOSITORY / "php/includes/hooks/tocsin.php", self.root / "includes/hooks")
        self.load = "includes/hooks/tocsin.php"
        if settings:
            config = f"<?php return json_decode('{json.dumps(settings)}', true);"
            (self.root.parent / "tocsin-config.php").write_text(config)
        return self

    def start(self, *steps: Step, env: dict[str, str] | None = None, largest_file: int | None = None) -> Process:
        """One page view: WHMCS loads the hook file, then the steps happen. A bound on files stands for a full disk."""
        bound = ["prlimit", f"--fsize={largest_file}"] if largest_file else []
        process = subprocess.Popen(
            [*bound, *PHP, STANDIN, self.root],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "HOOK_CONTRACT": str(CONTRACT), **(env or {})},
            restore_signals=False,  # so that a write beyond the bound fails instead of killing PHP
        )
        assert process.stdin
        process.stdin.write(json.dumps([{"load": self.load}, *steps]).encode())
        process.stdin.close()
        process.stdin = None
        return process

    def page(self, *steps: Step, **options: Any) -> dict[str, Any]:
        return self.end(self.start(*steps, **options))

    @staticmethod
    def end(process: Process) -> dict[str, Any]:
        output, errors = process.communicate(timeout=30)
        assert process.returncode == 0, (output, errors)
        result: dict[str, Any] = json.loads(output)
        assert result["complaints"] == [], "PHP complained"
        return result

    def flush_command(self, *arguments: str) -> list[str]:
        script = self.root / (f"{ADDON}/flush.php" if ADDON in self.load else self.load)
        return [*PHP, str(script), *arguments]

    def flush(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.flush_command(*arguments), capture_output=True, text=True, timeout=60, check=False)

    def spooled(self) -> list[Event]:
        """The waiting events in the order of their numbers; a torn line fails the test."""
        lines = [line for segment in self.segments() for line in segment.read_text().splitlines()]
        return sorted((json.loads(line) for line in lines), key=lambda event: event["sequence"])

    def segments(self) -> list[Path]:
        return sorted(self.folder.glob("*-0*.ndjson"))

    def state(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.folder / "flush.json").read_text())
        return content

    def refused(self) -> list[dict[str, Any]]:
        path = self.folder / "refused.ndjson"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def fire(name: str, *args: object, **variables: object) -> Step:
    """`fire("InvoicePaid", invoiceid=1)` passes $vars, `fire("PostAutomationTask", task, True)` single values."""
    return {"fire": name, "args": list(args) or [variables]}


def invoices(*numbers: int) -> list[Step]:
    """Loud events with a number in them that tells their order."""
    return [fire("InvoiceUnpaid", invoiceid=number) for number in numbers]
