"""``make bench``: measures Tocsin beside Alertmanager, prints the result and writes docs/performance.md."""

import argparse
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT)]  # for `python bench/run.py`

from bench import (  # noqa: E402 - the path comes first
    access,
    agent,
    alerts_list,
    checks,
    escalation,
    history,
    hook,
    ingest,
    latency,
    memory,
    muting,
    pages,
    report,
    rules,
    storm,
    stream,
)
from bench.figures import Options, Part  # noqa: E402
from bench.machine import facts  # noqa: E402
from bench.servers import Alertmanager, BenchError, Cluster, Tocsin, TocsinOnPostgres, cluster, postgres_programs  # noqa: E402

RESULTS = ROOT / "build" / "bench"
PAGE = ROOT / "docs" / "performance.md"
NEEDED = {"wrk": "wrk", "prometheus-alertmanager": "prometheus-alertmanager"}


class Bench:
    """The parts by name, over one working folder."""

    def __init__(self, work: Path, options: Options, database: Cluster | None) -> None:
        self._work, self._options = work, options
        self._tocsin, self._alertmanager = Tocsin(work), Alertmanager(work)
        self._on_postgres = TocsinOnPostgres(work, database) if database else None

    def measure(self, names: list[str]) -> list[Part]:
        """The parts called *names*, in the order in which they are known."""
        parts: list[Part] = []
        for name, part in PARTS.items():
            if name in names:
                print(f"{name} ...", flush=True)
                parts += part(self)
        return parts

    def ingest(self) -> list[Part]:
        """Rates, on PostgreSQL too where it is installed."""
        if self._on_postgres is None:
            print("  PostgreSQL is not measured: it is not installed (apt-get install postgresql)")
        extra = [self._on_postgres] if self._on_postgres else []
        return ingest.measure([self._tocsin, self._alertmanager, *extra], self._options)

    def latency(self) -> list[Part]:
        """POST to push."""
        return [latency.measure([self._tocsin, self._alertmanager], self._options)]

    def storm(self) -> list[Part]:
        """Ten thousand alerts of one cause, and one of another site."""
        return [storm.measure(self._tocsin, self._options)]

    def memory(self) -> list[Part]:
        """Memory and start."""
        return [memory.measure(self._tocsin, self._alertmanager, self._work, self._options)]

    def alerts(self) -> list[Part]:
        """The alerts list."""
        return [alerts_list.measure(self._tocsin, self._work, self._options)]

    def pages(self) -> list[Part]:
        """The pages of the dashboard."""
        return [pages.measure(self._tocsin, self._work, self._options)]

    def stream(self) -> list[Part]:
        """Open dashboards."""
        return [stream.measure(self._tocsin, self._work, self._options)]

    def access(self) -> list[Part]:
        """Keys and sessions."""
        return [access.measure(self._work, self._options)]

    def muting(self) -> list[Part]:
        """Events when much is silenced."""
        return [muting.measure(self._work, self._options)]

    def escalation(self) -> list[Part]:
        """Levels of policies, and what they cost an event."""
        return [escalation.measure(self._work, self._options)]

    def rules(self) -> list[Part]:
        """Event rules: what they cost an event, and how fast a back-test is."""
        return rules.measure(self._work, self._options)

    def checks(self) -> list[Part]:
        """A thousand checks a minute."""
        return checks.measure(self._tocsin, self._work, self._options)

    def history(self) -> list[Part]:
        """History of metrics, beside VictoriaMetrics."""
        return history.measure(self._tocsin, self._work, self._options)

    def agent(self) -> list[Part]:
        """The server agent, beside node_exporter where that is installed."""
        if shutil.which(agent.EXPORTER) is None:
            print("  without a peer: it is not installed (apt-get install prometheus-node-exporter)")
        return agent.measure(self._work, self._options)

    def hook(self) -> list[Part]:
        """The PHP bridge."""
        part = hook.measure(self._options)
        if part is None:
            print("  not measured: PHP is not installed (apt-get install php-cli)")
        return [part] if part else []


PARTS: dict[str, Callable[[Bench], list[Part]]] = {
    "ingest": Bench.ingest,
    "latency": Bench.latency,
    "storm": Bench.storm,
    "memory": Bench.memory,
    "alerts": Bench.alerts,
    "pages": Bench.pages,
    "stream": Bench.stream,
    "access": Bench.access,
    "muting": Bench.muting,
    "escalation": Bench.escalation,
    "rules": Bench.rules,
    "checks": Bench.checks,
    "history": Bench.history,
    "agent": Bench.agent,
    "hook": Bench.hook,
}


def main() -> int:
    """0: measured. 1: it could not be measured; a sentence says why."""
    arguments = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # leave through the context managers, which stop the servers
    try:
        _refuse_without_programs()
        _run(arguments.only, _options(arguments), is_whole=not arguments.quick and len(arguments.only) == len(PARTS))
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description="Measures Tocsin beside Alertmanager on this machine.")
    parser.add_argument("--quick", action="store_true", help="one short round and a tenth of the content: is the harness right?")
    parser.add_argument("--only", type=_names, default=list(PARTS), metavar="NAME,...", help=f"some of {', '.join(PARTS)}")
    parser.add_argument("--seconds", type=float, help="length of an intake run (default 5; quick 1)")
    parser.add_argument("--repeats", type=int, help="rounds (default 3; quick 1)")
    return parser.parse_args()


def _names(text: str) -> list[str]:
    names = text.split(",")
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        raise argparse.ArgumentTypeError(f"{unknown[0]} is not one of {', '.join(PARTS)}")
    return names


def _options(arguments: argparse.Namespace) -> Options:
    seconds, repeats = (1.0, 1) if arguments.quick else (5.0, 3)
    return Options(arguments.seconds or seconds, arguments.repeats or repeats, arguments.quick)


def _refuse_without_programs() -> None:
    missing = [package for program, package in NEEDED.items() if shutil.which(program) is None]
    if missing:
        raise BenchError(f"not installed: apt-get install --no-install-recommends {' '.join(missing)}")


def _run(names: list[str], options: Options, *, is_whole: bool) -> None:
    today = datetime.now(UTC).date()  # noqa: TID251 - the date of the report
    programs = postgres_programs()
    with ExitStack() as stack:
        work = _work_folder(stack)
        the_machine = facts(work, programs)
        database = stack.enter_context(cluster(work, programs)) if programs and "ingest" in names else None
        parts = Bench(work, options, database).measure(names)
    report.show(parts, the_machine)
    report.save(parts, the_machine, options, today, RESULTS)
    page = PAGE if is_whole else RESULTS / "performance.md"
    page.write_text(report.page(parts, the_machine, options, today))
    print(f"Written: {page.relative_to(ROOT)}, {(RESULTS / 'results.json').relative_to(ROOT)}")


def _work_folder(stack: ExitStack) -> Path:
    """On a disk: the usual temporary folder may be memory. Others may pass through it: PostgreSQL's user must."""
    place = Path("/var/tmp")  # noqa: S108 - a folder of its own is made in it
    folder = tempfile.TemporaryDirectory(prefix="tocsin-bench-", dir=place if place.is_dir() else None, ignore_cleanup_errors=True)
    work = Path(stack.enter_context(folder))
    work.chmod(0o711)
    return work


if __name__ == "__main__":
    sys.exit(main())
