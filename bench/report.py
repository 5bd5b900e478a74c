"""The results as a table on the screen, as a page of the documentation, and as JSON."""

import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from bench.figures import Options, Part, Row

VERDICT = {True: "yes", False: "no", None: ""}
LEFT = ("", "target", "met")


def show(parts: Sequence[Part], facts: dict[str, str]) -> None:
    """Prints everything."""
    console = Console(width=None if sys.stdout.isatty() else 140)
    for name, value in facts.items():
        console.print(f"{name}: {value}", highlight=False)
    for part in parts:
        table = Table(title=part.title, title_justify="left")
        for column in _columns(part):
            table.add_column(column, justify="left" if column in LEFT else "right")
        for row in part.rows:
            table.add_row(*_cells(part, row))
        console.print(table)
        for note in part.notes:
            console.print(f"  {note}", highlight=False)


def _columns(part: Part) -> tuple[str, ...]:
    """Without a peer there is nothing to compare."""
    return ("", "Tocsin", *((part.peer, "ratio") if part.peer else ()), "target", "met")


def _cells(part: Part, row: Row) -> tuple[str, ...]:
    ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
    return (row.what, row.ours, *((row.peer, ratio) if part.peer else ()), row.target, VERDICT[row.met])


def save(parts: Sequence[Part], facts: dict[str, str], options: Options, today: date, folder: Path) -> None:
    """Writes ``results.json``, with every run."""
    folder.mkdir(parents=True, exist_ok=True)
    document = {"date": today, "options": options, "machine": facts, "parts": parts}
    (folder / "results.json").write_bytes(msgspec.json.format(msgspec.json.encode(document)) + b"\n")


def page(parts: Sequence[Part], facts: dict[str, str], options: Options, today: date) -> str:
    """``docs/performance.md``."""
    lines = [_HEAD.format(date=today.isoformat(), seconds=f"{options.seconds:g}", repeats=options.repeats)]
    lines += ["## The machine", "", "| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in facts.items()), ""]
    for part in parts:
        lines += _section(part)
    return "\n".join([*lines, _FOOT])


def _section(part: Part) -> list[str]:
    columns = _columns(part)
    rule = ["---" if column in LEFT else "--:" for column in columns]
    body = [_line(_cells(part, row)).replace("| no |", "| **no** |") for row in part.rows]
    return [f"## {part.title}", "", _line(columns), f"|{'|'.join(rule)}|", *body, "", *(f"{note}\n" for note in part.notes)]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


_HEAD = """# Performance

<!-- Written by `make bench`. Change bench/report.py, not this page. -->

Measured on {date}. `make bench` measures everything anew and rewrites this page; it needs `wrk`, `prometheus-alertmanager` and,
for their parts, PostgreSQL and PHP.

Tocsin answers a post only when its events, the alerts that follow from them and the messages to send are flushed to disk
(SQLite: the log is flushed before the answer, which is what `synchronous=FULL` promises; PostgreSQL: `fsync` and
`synchronous_commit`). Alertmanager, the fastest alert manager that we know of, keeps alerts in memory and answers at once; what
it has accepted is gone when its process is killed. Both are set so that they do the least: in the intake runs nobody is told;
Alertmanager runs without a cluster, with `group_by: ['...']`, `group_wait: 0s`, `group_interval: 5s`.

## How it is measured

- Everything runs on one machine, load generator included, over loopback and without TLS. Tocsin checks an API key on each
  request; Alertmanager checks nothing.
- The servers take turns (rounds: {repeats}; an intake run: {seconds} s). Each run has a new process and new data. The figures
  are medians.
- With each run we write down the cores that other processes used meanwhile and the time that the hypervisor took away. A run
  disturbed by more than 0.2 cores is repeated, at most twice. Medians are over the undisturbed runs, or over all where there
  was none.
- Intake: `wrk`, one thread, kept connections, each sending its next request when it has the last answer. An event has about
  400 bytes, the same information for both. Where a row names no number of connections, each server is taken at its best of the
  numbers that stand below the table, with what it took at each.
- POST to push: the sender posts at a fixed rate over 8 connections, whatever the answers do. The sink that stands in for the
  ntfy server (Alertmanager: its webhook) is in the same process, so both ends have one clock. An event of which the sink never
  hears counts as infinitely late. The limit on messages a minute is out of the way.
- Memory is resident memory (RSS) of the whole process tree. A start is measured from the start of the process to the first 200
  on `/api/v1/live`.
"""

_FOOT = """## What this does not show

- One machine, runs of seconds: no week of running, no large database beyond the million events, no network, no TLS.
- The load generator takes its share of the cores. That is worse for the server that could use more than one of them, which is
  Alertmanager; on a larger machine it can gain where Tocsin's single process cannot.
- Alertmanager's latency and memory grow with the alerts that it holds; a longer run is worse for it, a shorter one better.
- Repeats and recorded events are sent as the same body each time, which costs the load generator nothing; new problems are
  made up one by one.
- How long a flush takes decides what a single connection can do, and PostgreSQL flushes more than SQLite does: see the disk
  above.
"""
