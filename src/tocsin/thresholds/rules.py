"""What thresholds decide. Pure functions; ``now`` is an argument."""

from collections.abc import Iterable, Mapping, Sequence
from math import inf, isfinite

import msgspec

from tocsin.core.clock import DAY, MINUTE
from tocsin.core.errors import FieldError
from tocsin.core.text import cut, one_line
from tocsin.core.times import in_words
from tocsin.thresholds.model import SELF_JUDGED, Direction, Judgement, Level, Outcome, Reason, Sample, State, Threshold, Watched

replace = msgspec.structs.replace

DISK_CRITICAL = 95  # percent
BAND = 0.05  # of the limit: how far a value must come back if the threshold does not say
SLACK = 8  # a silence is told an eighth of its length late at most, so that not each sample must be remembered
LONGEST, SHORTEST_SILENCE, LONGEST_SILENCE = DAY, MINUTE, 7 * DAY
MAX_LABELS, MAX_LABEL = 10, 200
_NEW = State()


# --- Which threshold holds ----------------------------------------------------------------------------------------------


def applies(threshold: Threshold, series: Watched) -> bool:
    """Whether *threshold* is about *series*."""
    return (
        threshold.enabled
        and not (threshold.is_default and SELF_JUDGED in series.labels)
        and threshold.metric == series.name
        and threshold.site_id in (None, series.site_id)
        and (threshold.host is None or threshold.host == (series.host or "").lower())
        and all(series.labels.get(name) == value for name, value in threshold.labels.items())
    )


def is_about_the_same(one: Threshold, other: Threshold) -> bool:
    """Whether two thresholds would hold for the very same series."""
    return all(getattr(one, name) == getattr(other, name) for name in ("site_id", "host", "metric", "labels", "direction"))


def specificity(threshold: Threshold) -> tuple[bool, bool, int, bool, str]:
    """What makes one win over another: it names the host, more labels, the site; a person made it; it is the newest."""
    site_named = threshold.site_id is not None
    return threshold.host is not None, bool(threshold.labels), len(threshold.labels) + site_named, not threshold.is_default, threshold.id


def chosen(thresholds: Iterable[Threshold], series: Watched) -> tuple[Threshold, ...]:
    """Those that hold for *series*: of each direction the most specific one."""
    best: dict[Direction, Threshold] = {}
    for threshold in sorted(thresholds, key=specificity):
        if applies(threshold, series):
            best[threshold.direction] = threshold
    return tuple(best.values())


def harmless(thresholds: Iterable[Threshold]) -> tuple[float, float]:
    """Between these two a value begins nothing at any of *thresholds*; turned round if each sample matters, because silence does."""
    low, high = -inf, inf
    for threshold in thresholds:
        if threshold.missing is not None:
            return inf, -inf
        limits = [limit for limit in (threshold.warning, threshold.critical) if limit is not None]
        if threshold.direction is Direction.ABOVE:
            high = min(high, *limits)
        else:
            low = max(low, *limits)
    return low, high


# --- What a sample means ------------------------------------------------------------------------------------------------


class _Limits:
    """A threshold's limits, turned so that more is always worse."""

    __slots__ = ("_sign", "critical", "critical_clear", "warning", "warning_clear")

    def __init__(self, threshold: Threshold) -> None:
        self._sign = 1.0 if threshold.direction is Direction.ABOVE else -1.0
        self.warning = self._turned(threshold.warning)
        self.critical = self._turned(threshold.critical)
        first = min(self.warning, self.critical)
        clear = first - BAND * abs(first) if threshold.clear is None else self.turn(threshold.clear)
        self.warning_clear = clear
        self.critical_clear = self.critical - (first - clear)

    def turn(self, value: float) -> float:
        """*value* as these limits count."""
        return self._sign * value

    def _turned(self, limit: float | None) -> float:
        return inf if limit is None else self.turn(limit)


def judge(threshold: Threshold, state: State | None, samples: Sequence[Sample], now: int) -> Judgement:
    """How a series stands after *samples* (in any order; what was judged before changes nothing), and what is to be told."""
    before = _NEW if state is None else state
    limits, outcomes, after = _Limits(threshold), [], before
    fresh = sorted((s for s in samples if s.at > before.last_at and isfinite(s.value)), key=lambda s: s.at)
    for sample in fresh:
        after, outcome = _step(after, sample, limits, threshold.lasts)
        if outcome is not None:
            outcomes.append(Outcome(outcome, sample))
    if fresh and before.is_silent:
        outcomes.insert(0, Outcome(Reason.TALKING, fresh[0], is_about_silence=True))
    return Judgement(_listening(threshold, after, now) if fresh else before, tuple(outcomes))


def stays(threshold: Threshold, state: State, value: float) -> bool:
    """Whether a newer *value* leaves a series in all as bad as it is: the quick answer, which most values beyond a limit get.

    False says nothing: then it is to be judged.
    """
    reached = {Level.WARNING: state.warning_since, Level.CRITICAL: state.critical_since}.get(state.level)
    if reached is None or (state.level is Level.WARNING and state.critical_since is not None):
        return False  # something is just beginning, or about to end
    if threshold.missing is not None or state.due_at is not None or state.is_silent:
        return False
    return _is_beyond(threshold, threshold.warning, value) is (state.warning_since is not None) and _is_beyond(
        threshold, threshold.critical, value
    ) is (state.critical_since is not None)


def _is_beyond(threshold: Threshold, limit: float | None, value: float) -> bool:
    if limit is None:
        return False
    return value >= limit if threshold.direction is Direction.ABOVE else value <= limit


def _step(state: State, sample: Sample, limits: _Limits, lasts: int) -> tuple[State, Reason | None]:
    value, at = limits.turn(sample.value), sample.at
    warning_since = _beyond(value, limits.warning, state.warning_since, at)
    critical_since = _beyond(value, limits.critical, state.critical_since, at)
    level = _level(state.level, value, limits)
    if _has_lasted(critical_since, at, lasts):
        level = Level.CRITICAL
    elif level is Level.OK and _has_lasted(warning_since, at, lasts):
        level = Level.WARNING
    since = at if level is not state.level else state.since
    return State(level, since, warning_since, critical_since, at, state.due_at), _told(state.level, level)


def _beyond(value: float, limit: float, since: int | None, at: int) -> int | None:
    if value < limit:
        return None
    return at if since is None else since


def _has_lasted(since: int | None, at: int, lasts: int) -> bool:
    return since is not None and at - since >= lasts


def _level(level: Level, value: float, limits: _Limits) -> Level:
    """What is left of a level that was reached: it ends behind its clear limit, not where it began."""
    if level is Level.CRITICAL and value < limits.critical_clear:
        level = Level.WARNING
    if level is Level.WARNING and value < limits.warning_clear:
        level = Level.OK
    return level


def _told(before: Level, after: Level) -> Reason | None:
    if after is before or (before is Level.CRITICAL and after is Level.WARNING):
        return None
    return {Level.OK: Reason.CLEARED, Level.WARNING: Reason.WARNED, Level.CRITICAL: Reason.CRITICAL}[after]


# --- What silence means -------------------------------------------------------------------------------------------------


def _listening(threshold: Threshold, state: State, now: int) -> State:
    """A sample came just now. When its silence is due is moved on only if it would move far."""
    if threshold.missing is None:
        return replace(state, due_at=None, is_silent=False)
    slack = threshold.missing // SLACK
    due_at = now + threshold.missing + slack
    if state.due_at is not None and 0 <= due_at - state.due_at < slack:
        due_at = state.due_at
    return replace(state, due_at=due_at, is_silent=False)


def fall_silent(threshold: Threshold | None, state: State, now: int) -> Judgement:
    """Nothing came: told once, unless nobody asks for it any more. What was wrong before stays so: nothing shows that it is over."""
    if threshold is None or threshold.missing is None:
        return Judgement(replace(state, due_at=None))
    if state.due_at is None or state.due_at > now:
        return Judgement(state)
    return Judgement(replace(state, due_at=None, is_silent=True), (Outcome(Reason.SILENT, is_about_silence=True),))


def let_go(state: State) -> tuple[Outcome, ...]:
    """What is over when nothing watches the series any more."""
    level = (Outcome(Reason.UNWATCHED),) if state.level is not Level.OK else ()
    return (*level, Outcome(Reason.UNWATCHED, is_about_silence=True)) if state.is_silent else level


# --- What people read ---------------------------------------------------------------------------------------------------

# The ends of names, and what stands behind a value of such a name.
_UNITS = {"percent": " %", "ms": " ms", "seconds": " s", "bytes": " bytes", "celsius": " °C"}


def unit_of(metric: str) -> str:
    """What stands behind a value of *metric*: `` %``; nothing if the name does not end in a known unit."""
    return _UNITS.get(metric.rpartition("_")[2], "")


def number(value: float) -> str:
    """``91``, ``0.25``, ``1,250``: at most three digits behind the point, and no more than are of use."""
    if abs(value) >= 1e15 or (value and abs(value) < 0.001):
        return f"{value:.3g}"
    text = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3f}" if abs(value) < 1 else f"{value:.1f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def called(series: Watched) -> str:
    """What the series measures: ``disk /var``, ``cpu``, ``queue depth (queue=mail)``."""
    name, _, unit = series.name.rpartition("_")
    words = (name if name and unit in _UNITS else series.name).replace("_", " ")
    if len(series.labels) == 1:
        ((label, value),) = series.labels.items()
        return f"{words} {value}" if label in ("mount", "device", "action", "mode", "interface") else f"{words} ({label}={value})"
    inside = ", ".join(f"{label}={value}" for label, value in sorted(series.labels.items()))
    return f"{words} ({inside})" if inside else words


def title(threshold: Threshold, series: Watched, outcome: Outcome) -> str:
    """``web01: disk /var 91 % full, warned from 85 %``."""
    where = f"{series.host}: " if series.host else ""
    return cut(one_line(f"{where}{called(series)} {_said(threshold, series, outcome)}"), 200)


def _said(threshold: Threshold, series: Watched, outcome: Outcome) -> str:
    unit = unit_of(series.name)
    value = "" if outcome.sample is None else number(outcome.sample.value) + unit
    full = " full" if series.name == "disk_percent" else ""
    what = "from" if threshold.direction is Direction.ABOVE else "down from"
    match outcome.reason:
        case Reason.WARNED:
            return f"{value}{full}, warned {what} {_limit(threshold.warning)}{unit}"
        case Reason.CRITICAL:
            return f"{value}{full}, critical {what} {_limit(threshold.critical)}{unit}"
        case Reason.CLEARED:
            return f"{value}{full} again"
        case Reason.SILENT:
            return f"has sent no value for {in_words(threshold.missing or 0)}"
        case Reason.TALKING:
            return "sends values again"
        case Reason.UNWATCHED:
            return "is no longer watched by a threshold"


def explain(threshold: Threshold, metric: str) -> str:
    """What the threshold says, for the text below a title."""
    unit, limits = unit_of(metric), _Limits(threshold)
    turned = limits.turn(limits.warning_clear)  # turning back is the same as turning
    said = [
        f"{name} from {_limit(limit)}{unit}"
        for name, limit in (("Warning", threshold.warning), ("critical", threshold.critical))
        if limit is not None
    ]
    side = "below" if threshold.direction is Direction.ABOVE else "above"
    lasting = f" for {in_words(threshold.lasts)}" if threshold.lasts else ""
    whose = "by the settings" if threshold.is_default else f"by threshold {threshold.id}"
    text = f"{', '.join(said)}{lasting}; over {side} {number(turned)}{unit}, {whose}."
    return text[0].upper() + text[1:]


def _limit(limit: float | None) -> str:
    return "" if limit is None else number(limit)


# --- What can be a threshold --------------------------------------------------------------------------------------------


def faults(threshold: Threshold) -> tuple[FieldError, ...]:
    """All that is wrong with it."""
    return tuple(_label_faults(threshold.labels)) + tuple(_limit_faults(threshold)) + tuple(_time_faults(threshold))


def _label_faults(labels: Mapping[str, str]) -> Iterable[FieldError]:
    if len(labels) > MAX_LABELS:
        yield FieldError("labels", f"has {len(labels)} labels; at most {MAX_LABELS} are taken")
    for name, value in labels.items():
        if not name or len(name) > MAX_LABEL or len(value) > MAX_LABEL or "\0" in name + value:
            yield FieldError("labels", f'a label and its value have at most {MAX_LABEL} characters, such as {{"mount": "/var"}}')
            return


def _limit_faults(threshold: Threshold) -> Iterable[FieldError]:
    given = {name: value for name in ("warning", "critical", "clear") if (value := getattr(threshold, name)) is not None}
    for name, value in given.items():
        if not isfinite(value):
            yield FieldError(name, "must be a finite number, such as 85")
            return
    if threshold.warning is None and threshold.critical is None:
        yield FieldError("warning", "give a warning limit, a critical one or both, such as 85")
        return
    limits = _Limits(threshold)
    if threshold.warning is not None and limits.critical < limits.warning:
        side = "above" if threshold.direction is Direction.ABOVE else "below"
        yield FieldError("critical", f"must not be reached before the warning: give a number {side} {number(threshold.warning)}")
    if limits.warning_clear > min(limits.warning, limits.critical):
        yield FieldError("clear", "must lie on the good side of the first limit: a value between the two changes nothing")


def _time_faults(threshold: Threshold) -> Iterable[FieldError]:
    if not 0 <= threshold.lasts <= LONGEST:
        yield FieldError("for_seconds", f"must be from 0 to {LONGEST // 1000}")
    if threshold.missing is not None and not SHORTEST_SILENCE <= threshold.missing <= LONGEST_SILENCE:
        yield FieldError("missing_seconds", f"must be from {SHORTEST_SILENCE // 1000} to {LONGEST_SILENCE // 1000}")


def defaults(cpu: int, memory: int, disk: int, response: tuple[int, int]) -> tuple[Threshold, ...]:
    """The thresholds that the settings make: they hold for every site and host where nobody has made a better one."""
    limits = {
        "cpu_percent": (cpu, None),
        "disk_percent": (disk, max(disk, DISK_CRITICAL)),
        "memory_percent": (memory, None),
        "response_ms": response,
    }
    return tuple(
        Threshold(
            f"default:{metric}", None, None, metric, {}, Direction.ABOVE, float(warning), None if critical is None else float(critical)
        )
        for metric, (warning, critical) in limits.items()
    )
