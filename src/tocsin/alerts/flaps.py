"""An alert that comes and goes: a state of its own, in which people hear a summary now and then instead of each change. Pure.

    comes back 3 times within 30 minutes --> flapping --no change for 15 minutes--> resolved (it is away), or open as before (it is there)

While it is flapping its recoveries do not resolve it, so that an acknowledgement, a snooze and a silence outlive them.
"""

import msgspec

from tocsin.alerts.holds import hold_of
from tocsin.alerts.model import Action, Alert, AlertChange, HistoryLine, Notice, Reason, Status
from tocsin.core.clock import HOUR, MINUTE
from tocsin.core.text import counted
from tocsin.core.times import in_words

SYSTEM = "tocsin"
WINDOW = 30 * MINUTE
RETURNS = 3  # within that time make it flap
CALM = 15 * MINUTE
SUMMARY = HOUR
_KEPT = 100  # returns that are remembered
replace = msgspec.structs.replace


class Flap(msgspec.Struct, frozen=True, omit_defaults=True):
    """When it came back of late; and while it flaps, since when, when it last changed, whether it is away, and what was told last."""

    times: tuple[int, ...] = ()
    since: int | None = None
    changed_at: int = 0
    away: bool = False
    told_at: int = 0

    @property
    def due_at(self) -> int | None:
        """When it has been calm for long enough, or people are told again, whichever comes first; not of what is away just now."""
        if self.since is None:
            return None
        calm = self.changed_at + CALM
        return calm if self.away else min(calm, self.told_at + SUMMARY)


_decode = msgspec.json.Decoder(Flap).decode


def flap_of(alert: Alert) -> Flap:
    """How *alert* comes and goes, ready to be read."""
    return Flap() if alert.flap is None else _decode(alert.flap)


def is_flapping(alert: Alert) -> bool:
    """Whether it comes and goes so often that people hear summaries only."""
    return alert.flap is not None and flap_of(alert).since is not None and alert.status != Status.RESOLVED


def came_back(change: AlertChange, previous: Alert | None, now: int) -> AlertChange:
    """*change* opens an alert, or opens it again: with how often it came back of late. What somebody had resolved counts from anew."""
    if previous is None or previous.resolved_by != SYSTEM or previous.resolved_at is None or now - previous.resolved_at >= WINDOW:
        return change if change.alert.flap is None else _with(change, None)
    times = (*[at for at in flap_of(previous).times if now - at < WINDOW], now)
    if len(times) < RETURNS:
        return _with(change, Flap(times))
    span = in_words(now - times[0])
    line = HistoryLine(now, SYSTEM, Action.FLAPPING, Reason.CAME_AND_WENT, {"times": len(times), "within": span})
    last = change.history[-1]  # what says who was told stays the last line
    return _with(replace(change, history=(*change.history[:-1], line, last)), Flap(times, now, now, told_at=now))


def went_away(alert: Alert, now: int) -> AlertChange:
    """A recovery of a flapping alert: it is noted, and nothing else."""
    flap = flap_of(alert)
    return AlertChange(alert) if flap.away else _with(AlertChange(alert), replace(flap, away=True, changed_at=now))


def is_there(change: AlertChange, now: int) -> AlertChange:
    """*change* counts a problem of an unresolved alert: if that is flapping and was away, it has come back once more."""
    flap = flap_of(change.alert)
    if flap.since is None or not flap.away:
        return change
    return _with(change, replace(flap, times=(*flap.times, now)[-_KEPT:], away=False, changed_at=now))


def come_due(alert: Alert, now: int) -> AlertChange:
    """What time does to a flapping alert: it has become calm, or it is time for a summary. Too early, or twice, changes nothing."""
    flap = flap_of(alert)
    if flap.since is None:
        return AlertChange(alert)
    if alert.status == Status.RESOLVED:
        return _with(AlertChange(alert), Flap(flap.times))
    if now >= flap.changed_at + CALM:
        return _calm(alert, flap, now)
    return AlertChange(alert) if flap.away or now < flap.told_at + SUMMARY else _summary(alert, flap, now)


def _calm(alert: Alert, flap: Flap, now: int) -> AlertChange:
    details = {"flapping_for": in_words(flap.changed_at - flap.since) if flap.since is not None else "", "calm_for": in_words(CALM)}
    if not flap.away:
        return _with(AlertChange(alert, (), (HistoryLine(now, SYSTEM, Action.CALMED, Reason.STAYED, details),)), None)
    resolved = replace(
        alert, status=Status.RESOLVED.value, resolved_at=now, resolved_by=SYSTEM, resolution=None, snoozed_until=None, due_at=None
    )
    lines = (
        HistoryLine(now, SYSTEM, Action.CALMED, Reason.STAYED_AWAY, details),
        HistoryLine(now, SYSTEM, Action.RESOLVED, Reason.STAYED_AWAY),
    )
    changed = ("status", "resolved_at", "resolved_by", "resolution", "snoozed_until", "due_at")
    return _with(AlertChange(resolved, changed, lines, Notice.RESOLVED, silence_pending=True), None)


def _summary(alert: Alert, flap: Flap, now: int) -> AlertChange:
    """People hear of it once more, if nobody has it and nothing keeps it quiet."""
    since = flap.told_at
    told = replace(flap, told_at=now)
    if alert.status != Status.OPEN:
        return _with(AlertChange(alert), told)
    details = {"times": sum(at > since for at in flap.times), "within": in_words(now - since)}
    line = HistoryLine(now, SYSTEM, Action.FLAPPING, Reason.STILL_FLAPPING, details)
    again = replace(alert, generation=alert.generation + 1)
    return _with(AlertChange(again, ("generation",), (line,), Notice.REPEATED, silence_pending=True), told)


def in_sentence(alert: Alert) -> str | None:
    """What a message says of it: ``Comes and goes, 4 times within 20 min``; None if it does not."""
    if not is_flapping(alert):
        return None
    times = flap_of(alert).times
    span = in_words(times[-1] - times[0])
    return f"Comes and goes, {counted(len(times), 'time')} within {span}"


def _with(change: AlertChange, flap: Flap | None) -> AlertChange:
    text = None if flap is None else msgspec.json.encode(flap).decode()
    changed = change.changed if change.is_new else tuple(dict.fromkeys((*change.changed, "flap")))
    return replace(change, alert=replace(change.alert, flap=text), changed=changed)


def scheduled(change: AlertChange) -> AlertChange:
    """The change with the moment at which its alert has to be looked at: a delay ends, it may be calm, a summary is due."""
    alert = change.alert
    moments = () if alert.status == Status.RESOLVED else (hold_of(alert).until, flap_of(alert).due_at)
    at = min((moment for moment in moments if moment is not None), default=None)
    if at == alert.noise_at:
        return change
    changed = change.changed if change.is_new else tuple(dict.fromkeys((*change.changed, "noise_at")))
    return replace(change, alert=replace(alert, noise_at=at), changed=changed)
