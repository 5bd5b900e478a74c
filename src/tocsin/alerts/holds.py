"""What event rules keep an alert from telling people: not yet (a delay, a threshold), or not at all. Pure."""

from collections.abc import Callable

import msgspec

from tocsin.alerts.model import Action, Alert, AlertChange, HistoryLine, Notice, Reason, Status
from tocsin.core.clock import SECOND
from tocsin.core.text import counted
from tocsin.core.times import in_words, to_text
from tocsin.events.model import Event
from tocsin.muting.model import MuteKind, MuteReason
from tocsin.ruling.model import Named, Ruling, Threshold

SYSTEM = "tocsin"
replace = msgspec.structs.replace


class Hold(msgspec.Struct, frozen=True, omit_defaults=True):
    """What rules said when the alert opened, or got worse. ``times``: when the newest events occurred, as far as they count."""

    muted_by: Named | None = None
    until: int | None = None
    delayed_by: Named | None = None
    threshold: Threshold | None = None
    counted_by: Named | None = None
    times: tuple[int, ...] = ()


_decode = msgspec.json.Decoder(Hold).decode
NOTHING = Hold()
StillMutes = Callable[[str], bool]  # whether the rule with an id is there and would mute at this moment


def hold_of(alert: Alert) -> Hold:
    """What holds *alert* back, ready to be read."""
    return NOTHING if alert.hold is None else _decode(alert.hold)


def ruled(change: AlertChange, before: Alert | None, event: Event, ruling: Ruling | None, now: int) -> AlertChange:
    """*change*, to which *event* has led, with what the rules say to it. *before*: the unresolved alert as it was, if there was one."""
    if before is None or change.notice is Notice.ESCALATED:
        return _decided(change, NOTHING if before is None else hold_of(before), event, ruling, now, opened=before is None)
    if before.hold is None:
        return change
    old = hold_of(before)
    new = _repeated(old, event, ruling)
    if new == old:
        return change
    change = _with_hold(change, new)
    reached = old.threshold is not None and new.threshold is None
    is_free = new.muted_by is None and new.threshold is None and (new.until is None or new.until <= now)
    return _released(change, now, reached=reached) if is_free else change


def _decided(change: AlertChange, old: Hold, event: Event, ruling: Ruling | None, now: int, *, opened: bool) -> AlertChange:
    if ruling is None:
        return change if change.alert.hold is None else _with_hold(change, NOTHING)
    new = Hold(muted_by=ruling.muted_by)
    if ruling.delay and (opened or old.until is not None):
        new = replace(new, until=now + ruling.delay if opened else old.until, delayed_by=ruling.delayed_by)
    if ruling.threshold is not None and (opened or old.threshold is not None):
        new = _counted(replace(new, threshold=ruling.threshold, counted_by=ruling.counted_by, times=() if opened else old.times), event)
    last = change.history[-1]
    details = {**(last.details or {}), "rules": [decision.words for decision in ruling.decisions]}
    change = replace(change, history=(*change.history[:-1], replace(last, details=details)), policy=ruling.policy if opened else None)
    return _with_hold(change, new)


def _repeated(hold: Hold, event: Event, ruling: Ruling | None) -> Hold:
    """The same problem again: it counts; and if the rules would not mute it now, it is not muted any longer."""
    if hold.muted_by is not None and (ruling is None or ruling.muted_by is None):
        hold = replace(hold, muted_by=None)
    return hold if hold.threshold is None else _counted(hold, event)


def _counted(hold: Hold, event: Event) -> Hold:
    threshold = hold.threshold
    if threshold is None:
        return hold
    times = sorted([*hold.times, event.occurred_at])[-threshold.count :]
    if len(times) == threshold.count and times[-1] - times[0] <= threshold.within_seconds * SECOND:
        return replace(hold, threshold=None, counted_by=None, times=())
    return replace(hold, times=tuple(times))


def _with_hold(change: AlertChange, hold: Hold) -> AlertChange:
    text = None if hold == NOTHING else msgspec.json.encode(hold).decode()
    changed = change.changed if change.is_new else tuple(dict.fromkeys((*change.changed, "hold")))
    return replace(change, alert=replace(change.alert, hold=text), changed=changed)


def _released(change: AlertChange, now: int, *, reached: bool) -> AlertChange:
    """Nothing of the rules holds it back any more: people are told of it, if it is open and was quiet because of them."""
    alert = change.alert
    if alert.muted_by is None or not alert.muted_by.startswith(_RULE):
        return change
    reason = Reason.THRESHOLD_REACHED if reached else Reason.MUTE_ENDED
    line = HistoryLine(now, SYSTEM, Action.UNMUTED, reason, {"was": alert.muted_by})
    free = replace(change, alert=replace(alert, muted_by=None), changed=(*change.changed, "muted_by"), history=(*change.history, line))
    if alert.status != Status.OPEN:
        return free
    told = replace(free.alert, generation=alert.generation + 1)
    return replace(free, alert=told, changed=(*free.changed, "generation"), notice=Notice.REPEATED, silence_pending=True)


def come_due(alert: Alert, now: int) -> AlertChange:
    """The end of a delay. Whether people are told then is for whatever else may keep the alert quiet to say."""
    hold = hold_of(alert)
    if hold.until is None or hold.until > now:
        return AlertChange(alert)
    return _with_hold(AlertChange(alert), replace(hold, until=None, delayed_by=None))


_RULE = 'rule "'


def why_held(alert: Alert, still_mutes: StillMutes, now: int) -> MuteReason | None:
    """What of the rules keeps *alert* quiet at *now*. A rule that was taken away, or switched off, mutes nothing any more."""
    hold = hold_of(alert)
    if hold.muted_by is not None and still_mutes(hold.muted_by.id):
        return MuteReason(MuteKind.RULE, hold.muted_by.id, None, f'{_RULE}{hold.muted_by.name}"')
    if hold.threshold is not None and hold.counted_by is not None:
        asked = f"{counted(hold.threshold.count, 'event')} within {in_words(hold.threshold.within_seconds * SECOND)}"
        return MuteReason(MuteKind.RULE, hold.counted_by.id, None, f'{_RULE}{hold.counted_by.name}" until there are {asked}')
    if hold.until is not None and now < hold.until and hold.delayed_by is not None:
        words = f'{_RULE}{hold.delayed_by.name}", which waits until {to_text(hold.until)}'
        return MuteReason(MuteKind.RULE, hold.delayed_by.id, hold.until, words)
    return None
