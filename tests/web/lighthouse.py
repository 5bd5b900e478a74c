"""``make lighthouse``: what Lighthouse (npm) says of the pages that matter most, as a phone sees them, into docs/reference/dashboard.md.

It needs Node.js. Each figure is the middle one of three runs. Run it on a quiet machine: it measures time.
"""

import asyncio
import json
import os
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests import showcase
from tests.web import every_page
from tests.web.browsing import ARGS, chromium
from tests.web.site import Site
from tocsin.db import schema
from tocsin.db.engine import Database

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reference" / "dashboard.md"
BEGIN, END = "<!-- lighthouse: written by make lighthouse -->", "<!-- end of lighthouse -->"
PLACES = {"Overview": "/", "Alerts": "/alerts", "Alert": "/alerts/{down}", "Events": "/events", "Login": "/login"}
KINDS = {"performance": 95, "accessibility": 100, "best-practices": 100}
RUNS = 3
TRIES = 3  # now and then it loses the beginning of its own recording


async def run(program: Path, url: str, headers: dict[str, str], out: Path) -> bool:
    """Has a report written to *out*; whether that went well."""
    out.with_name("headers.json").write_text(json.dumps(headers))
    process = await asyncio.create_subprocess_exec(
        *(str(program), url, "--quiet", "--output=json", f"--output-path={out}", f"--only-categories={','.join(KINDS)}"),
        *(f"--chrome-flags=--headless=new {' '.join(ARGS)}", f"--extra-headers={out.with_name('headers.json')}"),
        env={**os.environ, "CHROME_PATH": chromium()},
    )
    return await process.wait() == 0


async def look(program: Path, url: str, headers: dict[str, str], folder: Path) -> dict[str, int]:
    """One run: the score of each kind, of 100."""
    out = folder / "report.json"
    for _ in range(TRIES):
        if await run(program, url, headers, out):
            break
    else:
        raise SystemExit(f"Lighthouse failed at {url}")
    report: dict[str, Any] = json.loads(await asyncio.to_thread(out.read_text))
    for kind, wanted in KINDS.items():
        for audit in report["categories"][kind]["auditRefs"]:
            found = report["audits"][audit["id"]]
            if (
                audit["weight"]
                and found["score"] is not None
                and found["score"] < 0.9
                and report["categories"][kind]["score"] * 100 < wanted
            ):
                sys.stdout.write(f"  {url} {kind}: {found['title']} {found.get('displayValue', '')}\n")
    return {kind: round(report["categories"][kind]["score"] * 100) for kind in KINDS}


async def measure(program: Path, site: Site, folder: Path) -> dict[str, dict[str, int]]:
    """The scores of all pages."""
    cookie, known = site.cookie(showcase.MARTA), every_page.known(site)
    found = {}
    for name, place in PLACES.items():
        headers = {} if name == "Login" else {"Cookie": f"{cookie['name']}={cookie['value']}"}
        runs = [await look(program, site.url + place.format_map(known), headers, folder) for _ in range(RUNS)]
        found[name] = {kind: int(statistics.median(run[kind] for run in runs)) for kind in KINDS}
        sys.stdout.write(f"{name}: {found[name]}\n")
    return found


def table(found: dict[str, dict[str, int]]) -> str:
    """The figures as the page shows them."""
    rows = [f"| {name} | {' | '.join(str(scores[kind]) for kind in KINDS)} |" for name, scores in found.items()]
    return "\n".join(["| page | performance | accessibility | best practices |", "|---|---|---|---|", *rows])


async def main() -> None:
    """Plays the night, looks at it, and writes the figures. Exit code 1 if a page has less than it must."""
    program = Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        url = f"sqlite:///{folder}/tocsin.db"
        database = Database(url)
        schema.upgrade(database)
        database.close()
        site = await Site.open(url, folder)
        found = await measure(program, site, folder)
        await site.close()
    before, _, rest = PAGE.read_text().partition(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n{table(found)}\n{END}{rest.partition(END)[2]}")
    if any(scores[kind] < wanted for scores in found.values() for kind, wanted in KINDS.items()):
        raise SystemExit("some page has less than it must")


if __name__ == "__main__":
    asyncio.run(main())
