"""How many events a second are taken: Tocsin on SQLite and on PostgreSQL beside Alertmanager, in turns."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial

from bench.figures import Bound, Options, Part, Row
from bench.load import wrk
from bench.noise import Run, in_words, median, undisturbed
from bench.servers import Subject


@dataclass(frozen=True)
class Case:
    """One kind of traffic. ``connections``: each server is taken at its best of these. ``has_peer``: Alertmanager does something alike."""

    name: str
    title: str
    mode: str
    batch: int
    lines: bool
    connections: tuple[int, ...]
    bound: Bound
    has_peer: bool = True


def _ratio(limit: float) -> Bound:
    return Bound(limit, at_least=True, unit="x")


ARRAYS = (4, 16, 32)  # connections
CASES = (
    Case("distinct", "new problems, one a request, 64 connections", "distinct", 1, False, (64,), _ratio(0.8)),
    Case("distinct-100", "new problems, arrays of 100", "distinct", 100, False, ARRAYS, _ratio(1.5)),
    Case("repeat", "repeats of an open alert, one a request", "repeat", 1, False, (16, 64, 256), _ratio(0.8)),
    Case("repeat-100", "repeats of 100 open alerts, arrays of 100", "repeat", 100, False, ARRAYS, _ratio(1.0)),
    Case(
        "recorded",
        "recorded only (info), NDJSON of 1,000 lines, 4 connections",
        "recorded",
        1000,
        True,
        (4,),
        Bound(100_000, at_least=True, unit="/s"),
        has_peer=False,
    ),
)


SHARE_ON_POSTGRESQL = _ratio(0.5)


class Rates:
    """All runs of all cases, by case, server and connections."""

    def __init__(self, cases: Sequence[Case]) -> None:
        self._cases = cases
        self.runs: dict[tuple[str, str, int], list[Run]] = {}

    def measure(self, subjects: Sequence[Subject], options: Options) -> None:
        """Rounds in which every server has its turn."""
        turns = [(case, subject) for case in self._cases for _ in range(options.repeats) for subject in subjects]
        for case, subject in turns:
            for connections in _connections(case, subject):
                made = undisturbed(partial(_one, case, subject, connections, options.seconds), tries=options.tries)
                self.runs.setdefault((case.name, subject.name, connections), []).extend(made)
                for run in made:
                    print(
                        f"  {case.name}, {subject.name}, c{connections}: {run.values['events_s']:,.0f}/s ({run.noise})",
                        flush=True,
                    )

    def best(self, case: str, subject: str) -> float | None:
        """The best median of a server over the numbers of connections; None if it was not measured."""
        medians = [median(runs, "events_s") for (c, s, _), runs in self.runs.items() if (c, s) == (case, subject)]
        return max(medians, default=None)

    def by_connections(self, subject: str) -> str:
        """What a server took at each number of connections, where there are several, as one sentence."""
        found = []
        for case in self._cases:
            rates = [(n, self.runs.get((case.name, subject, n))) for n in case.connections]
            if len(rates) > 1:
                found.append(f"{case.title}: " + ", ".join(f"{median(runs, 'events_s'):,.0f} ({n})" for n, runs in rates if runs))
        return f"{subject} by connections: {'; '.join(found)}."

    def record(self) -> list[dict[str, object]]:
        """Every run, for the record."""
        return [
            {"case": case, "server": server, "connections": connections, "runs": [asdict(run) for run in runs]}
            for (case, server, connections), runs in self.runs.items()
        ]

    def notes(self) -> list[str]:
        """How quiet it was, and what failed."""
        failed: dict[str, float] = {}
        for (_, server, _), runs in self.runs.items():
            failed[server] = failed.get(server, 0) + sum(run.values["bad"] for run in runs)
        faults = ", ".join(f"{server} {count:.0f}" for server, count in failed.items())
        return [
            in_words([run for runs in self.runs.values() for run in runs]),
            f"Failed requests in all intake runs together: {faults}.",
            *[self.by_connections(subject) for subject in dict.fromkeys(subject for _, subject, _ in self.runs)],
        ]


def _connections(case: Case, subject: Subject) -> tuple[int, ...]:
    return () if subject.name == "alertmanager" and not case.has_peer else case.connections


def _one(case: Case, subject: Subject, connections: int, seconds: float) -> Run:
    with subject.fresh() as target:
        return wrk(target, mode=case.mode, batch=case.batch, lines=case.lines, connections=connections, seconds=seconds)


def measure(subjects: Sequence[Subject], options: Options) -> list[Part]:
    """One part for each comparison that *subjects* allow."""
    rates = Rates(CASES)
    rates.measure(subjects, options)
    names = {subject.name for subject in subjects}
    parts = []
    if "alertmanager" in names:
        rows = [_beside_peer(case, rates) for case in CASES]
        parts.append(Part("Intake on SQLite, events/s", "Alertmanager", rows, rates.notes(), rates.record()))
    if "tocsin-postgresql" in names:
        rows = [_beside_sqlite(case, rates) for case in CASES]
        parts.append(Part("Intake on PostgreSQL, events/s", "on SQLite", rows))
    return parts


def _beside_peer(case: Case, rates: Rates) -> Row:
    ours, peer = rates.best(case.name, "tocsin") or 0.0, rates.best(case.name, "alertmanager")
    if peer is None:
        return Row(case.title, f"{ours:,.0f}", target=case.bound.text, met=case.bound.is_met(ours))
    return Row(case.title, f"{ours:,.0f}", f"{peer:,.0f}", ours / peer, case.bound.text, case.bound.is_met(ours / peer))


def _beside_sqlite(case: Case, rates: Rates) -> Row:
    ours, other = rates.best(case.name, "tocsin-postgresql") or 0.0, rates.best(case.name, "tocsin") or 1.0
    ratio = ours / other
    return Row(case.title, f"{ours:,.0f}", f"{other:,.0f}", ratio, SHARE_ON_POSTGRESQL.text, SHARE_ON_POSTGRESQL.is_met(ratio))
