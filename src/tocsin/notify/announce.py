"""From a decision about an alert to messages in the outbox and the alert's place in its policy, in the same transaction."""

from collections.abc import Collection, Mapping, Sequence

import msgspec

from tocsin.alerts.model import Action, Alert, AlertChange, HistoryLine, Notice, Status
from tocsin.core.clock import SECOND
from tocsin.core.errors import Conflict
from tocsin.core.ids import new_ids
from tocsin.core.severity import Severity
from tocsin.core.times import in_words
from tocsin.db.writer import Tx
from tocsin.escalation import rules, store as progress_store
from tocsin.escalation.model import EscalationPolicy, Progress, Standing, StepReason
from tocsin.escalation.service import PolicyBook
from tocsin.notify import store
from tocsin.notify.contacts import ContactBook
from tocsin.notify.model import Contact, Kind, Message
from tocsin.notify.plan import Done, Plan, carry_on, is_heard
from tocsin.notify.post import Dispatch, Leased, Post, a_message, contacts_of, name_of, wake
from tocsin.notify.quiet import PROBLEMS, Quiet
from tocsin.notify.reach import Directory, Promise, anybody, news_promise, stand_ins, without
from tocsin.notify.rules import Pointless, concerned, hears_good_news

__all__ = ["Announcer", "Dispatch", "Leased", "told_line"]

SYSTEM = "tocsin"
replace = msgspec.structs.replace
PlanKey = tuple[str, int, int, int, str | None]  # policy, version, severity, site, contact that must not be told


class Announcer:
    """Plans messages for alert changes and for steps that are due, and puts them into the outbox."""

    def __init__(self, contacts: ContactBook, policies: PolicyBook, quiet: Quiet) -> None:
        self._contacts, self._policies = contacts, policies
        self.quiet = quiet
        self._dispatch: Dispatch | None = None

    def use(self, dispatch: Dispatch) -> None:
        """Hands new messages to *dispatch*. Without one (the command line) they wait for the server to find them."""
        self._dispatch = dispatch

    def announce(self, tx: Tx, changes: Sequence[AlertChange], now: int) -> list[AlertChange]:
        """Hard rules 1 and 7: cancels what has lost its point, then has those told who are to be told.

        Returns the changes to save; what the history must say about who was told, or not, is added to their lines.
        """
        post = Post(tx, self._dispatch, now)
        earlier = progress_store.of(tx, [c.alert.number for c in changes if c.notice in _AGAIN])
        begun: dict[PlanKey, _Beginning] = {}
        noted: list[AlertChange] = []
        for change in self.quiet.judge(tx, changes, now):
            told = _quieten(tx, change)
            if change.notice in PROBLEMS and change.alert.severity > Severity.INFO:
                noted.append(self._begin(post, change, earlier.get(change.alert.number), begun))
                continue
            if change.notice in _GOOD_NEWS:
                self._good_news(post, change, told)
            if change.silence_pending and not change.is_new:
                (post.stopped if change.alert.muted_by is None else post.muted).append(change.alert.number)
            noted.append(change)
        post.write()
        return noted

    def _begin(self, post: Post, change: AlertChange, earlier: Progress | None, known: dict[PlanKey, "_Beginning"]) -> AlertChange:
        """The escalation of an alert of which people have to hear, from its beginning: by the policy with which it was opened."""
        alert = change.alert
        if earlier is None:
            policy = (self._policies.find(change.policy) if change.policy else None) or self._policies.of_site(alert.site_id)
        else:
            policy = self._policies.version(post.tx.sql, earlier.policy_id, earlier.policy_version)
        if change.muted_by is not None:
            waits = rules.rest(rules.begin(alert.number, alert.generation, alert.severity, policy, post.now), Standing.MUTED)
            (post.begun if change.is_new else post.moved).append(waits)
            return _with_details(change, {"told": f"nobody: muted by {change.muted_by}"})
        place = (policy.id, policy.version, alert.severity, alert.site_id, concerned(alert))
        beginning = known.get(place)
        if beginning is None:  # alerts of one transaction begin alike
            beginning = known[place] = self._beginning(alert, policy, post.now)
        plan = beginning.plan
        progress = replace(plan.progress, alert_number=alert.number, generation=alert.generation)
        (post.begun if change.is_new else post.moved).append(progress)
        kind = _kind_of(change.notice)
        if beginning.reaches:
            post.carry_out(alert, [(kind if step.first else _kind(step, alert), step) for step in plan.steps], {})
        return replace(change, history=beginning.noted(change.history))

    def _beginning(self, alert: Alert, policy: EscalationPolicy, now: int) -> "_Beginning":
        """The plan, and what the history must say of it: nobody was told, or not all who were meant; and a line for each further level."""
        begun = rules.begin(0, 0, alert.severity, policy, now)
        plan = carry_on(begun, policy, self._directory(alert), alert.site_id, now)
        if plan.progress.state == Standing.ALONE:
            return _Beginning(plan, {"told": f"nobody: {self._why_alone()}", **({"missed": plan.missed} if plan.missed else {})})
        if not plan.steps:
            silent = plan.progress.state == Standing.ENDED
            return _Beginning(plan, {"told": f"nobody: {policy.name} has no level for this severity"} if silent else None)
        first, further = plan.steps[0], plan.steps[1:]
        more = _more(first)
        told = {"told": contacts_of(first.reached.promises), **more} if more or further else None
        return _Beginning(plan, told, tuple([_step_line(step, policy, SYSTEM, step.reason, now) for step in further]))

    def _directory(self, alert: Alert) -> Directory:
        """Everybody who may hear of *alert*: that a contact cannot be written to, others have to hear."""
        deaf = concerned(alert)
        return self._contacts.directory if deaf is None else without(self._contacts.directory, deaf)

    def _why_alone(self) -> str:
        return "no contact is set up" if not self._contacts.all else "nobody whom the policy names can be reached"

    def is_company_there(self, tx: Tx, alert: Alert, now: int) -> bool:
        """Whether an alert of which nobody could be told could be told to somebody now who was not asked in vain already."""
        asked = store.asked_at_all(tx, alert.number, alert.generation)
        return bool(anybody(max(alert.severity, Severity.LOW), self._directory(alert), now, asked).promises)

    def _good_news(self, post: Post, change: AlertChange, told: set[str]) -> None:
        alert, directory = change.alert, self._contacts.directory
        actor = alert.resolved_by or alert.acknowledged_by
        people = [c for c in self._contacts.all if c.id in told and hears_good_news(c, alert)]
        promises = [news_promise(directory, contact, alert.severity, actor, post.now) for contact in people]
        kind = _kind_of(change.notice)
        again = promises and kind is Kind.ACKNOWLEDGED
        post.say(alert, kind, store.next_step(post.tx, alert.number, alert.generation, kind) if again else 0, promises)

    def tell(self, tx: Tx, notice: Alert, contacts: Sequence[Contact], now: int) -> None:
        """Has *contacts* told a notice, which is about no alert (see notices.py)."""
        post = Post(tx, self._dispatch, now)
        post.say(notice, Kind.NOTICE, 0, [Promise(contact, now) for contact in contacts])
        post.write()

    # Steps that are due, or asked for.

    def carry_on(self, tx: Tx, due: Sequence[tuple[Progress, Alert]], now: int) -> None:
        """Does the steps that are due of these alerts, which are open: messages, history and progress."""
        post = Post(tx, self._dispatch, now)
        waiting = store.unsent_pages(tx, [alert.number for _, alert in due])
        for progress, alert in due:
            policy = self._policies.version(tx.sql, progress.policy_id, progress.policy_version)
            self._do(post, alert, policy, carry_on(progress, policy, self._directory(alert), alert.site_id, now), waiting, SYSTEM)
        post.write()

    def next_level(self, tx: Tx, alert: Alert, from_level: int | None, now: int) -> "Asked | None":
        """What it comes to when somebody asks for the next level; nothing is written. None: it has moved from *from_level* already.

        Raises `Conflict` if there is no further level, or if the alert is muted.
        """
        progress = progress_store.of(tx, [alert.number]).get(alert.number)
        if progress is None or progress.state == Standing.ALONE:
            if progress is not None and from_level is not None:
                told = self._policies.version(tx.sql, progress.policy_id, progress.policy_version)
                if told.count(progress) != from_level:
                    return None
                from_level = None
            policy = self._policies.of_site(alert.site_id)
            progress = rules.begin(alert.number, alert.generation, max(alert.severity, Severity.LOW), policy, now)
        else:
            policy = self._policies.version(tx.sql, progress.policy_id, progress.policy_version)
        if alert.muted_by is not None or self.quiet.why(tx, alert, now) is not None:
            raise Conflict(f"alert {alert.number} is muted: end what mutes it, and people are told")
        reason = rules.escalate(progress, policy, from_level, now).reason
        if reason is StepReason.ALREADY:
            return None
        if reason is StepReason.AT_THE_END:
            raise Conflict(f"alert {alert.number} has reached the last level of {policy.name}: everybody was told")
        at_once = replace(progress, state=Standing.RUNNING.value, next_at=now)
        return Asked(policy, carry_on(at_once, policy, self._directory(alert), alert.site_id, now, StepReason.ASKED))

    def carry_out(self, tx: Tx, alert: Alert, asked: "Asked", actor: str, now: int, how: str = StepReason.ASKED) -> None:
        """Does what `next_level` has come to, for the alert as it now is. *how* it was asked for stands in the history."""
        post = Post(tx, self._dispatch, now)
        plan = replace(asked.plan, progress=replace(asked.plan.progress, generation=alert.generation))
        self._do(post, alert, asked.policy, plan, store.unsent_pages(tx, [alert.number]), actor, how)
        post.write()

    def _do(
        self,
        post: Post,
        alert: Alert,
        policy: EscalationPolicy,
        plan: Plan,
        waiting: Mapping[int, Mapping[str, Sequence[store.Unsent]]],
        actor: str,
        how: str = StepReason.ASKED,
    ) -> None:
        post.moved.append(plan.progress)
        post.carry_out(alert, [(_kind(step, alert), step) for step in plan.steps], waiting.get(alert.number, {}))
        for step in plan.steps:
            who, why = (actor, how) if step.reason is StepReason.ASKED else (SYSTEM, step.reason)
            post.lines.append((alert.number, _step_line(step, policy, who, why, post.now)))

    # When somebody cannot be reached after all.

    def not_reached(self, tx: Tx, alert: Alert, failed: Message, now: int) -> None:
        """*failed* could not be told: the person's other contacts are asked, and if nobody is left on that step, the next one is due.

        Those that were spared because this one seemed to have carried it have to carry it after all.
        """
        owner = store.owner_of(tx, failed.contact_id)
        if owner is not None and store.call_back(tx, failed, owner, now):
            wake(tx, self._dispatch, [])
        asked = store.asked(tx, failed)
        contacts = stand_ins(self._directory(alert), owner, {one.contact_id for one in asked})
        if contacts:
            self._ask(tx, alert, failed, contacts, now)
        elif not any(one.hopeful for one in asked if one.contact_id != failed.contact_id):
            self._nobody_heard(tx, alert, failed, now)

    def _ask(self, tx: Tx, alert: Alert, failed: Message, contacts: Sequence[Contact], now: int) -> None:
        kind = Kind(failed.kind)
        made = [
            a_message(new_id, alert, kind, failed.step, Promise(contact, now), now, now)
            for new_id, contact in zip(new_ids(now, len(contacts)), contacts, strict=True)
        ]
        store.add(tx, [replace(message, generation=failed.generation) for message in made], if_new=True)
        wake(tx, self._dispatch, [])

    def _nobody_heard(self, tx: Tx, alert: Alert, failed: Message, now: int) -> None:
        progress = progress_store.of(tx, [alert.number]).get(alert.number)
        if alert.status != Status.OPEN or progress is None or (progress.generation, progress.step) != (failed.generation, failed.step):
            return  # the policy has gone on meanwhile
        asked = store.asked_at_all(tx, alert.number, failed.generation)
        if progress.state == Standing.RUNNING and self._hurry(tx, alert, progress, asked, now):
            return
        # Even the contact that the alert is about: its trouble may be over before anybody else can be found.
        others = anybody(alert.severity, self._contacts.directory, now, asked).promises
        if others:
            self._ask(tx, alert, failed, [promise.contact for promise in others], now)
        elif progress.state == Standing.ENDED:
            progress_store.put(tx, [rules.rest(progress, Standing.ALONE)])

    def _hurry(self, tx: Tx, alert: Alert, progress: Progress, asked: Collection[str], now: int) -> bool:
        """Hard rule 8: the next level at once, if it or one behind it reaches somebody who was not *asked* in vain already."""
        policy = self._policies.version(tx.sql, progress.policy_id, progress.policy_version)
        hurried = rules.hurry(progress, now)
        plan = carry_on(hurried, policy, self._directory(alert), alert.site_id, now, StepReason.NOBODY_REACHED, asked)
        if not any(is_heard(step.reached, asked) for step in plan.steps):
            return False
        post = Post(tx, self._dispatch, now)
        self._do(post, alert, policy, plan, store.unsent_pages(tx, [alert.number]), SYSTEM)
        post.write()
        return True


class _Beginning:
    """How alerts that are alike begin: *told* goes into the line of what happened, *further* are lines of their own."""

    def __init__(self, plan: Plan, told: dict[str, object] | None, further: tuple[HistoryLine, ...] = ()) -> None:
        self.plan, self._told, self._further = plan, told, further
        self.reaches = any(step.reached.promises for step in plan.steps)
        self._seen: HistoryLine | None = None
        self._shared: tuple[HistoryLine, ...] = ()

    def noted(self, history: tuple[HistoryLine, ...]) -> tuple[HistoryLine, ...]:
        """*history* with what is to be said of it. Alerts that open together share their line, and go on sharing it."""
        line = history[-1]
        if line is not self._seen:
            told = line if self._told is None else _more_said(line, self._told)
            self._seen, self._shared = line, (told, *self._further)
        return (*history[:-1], *self._shared)


class Asked(msgspec.Struct, frozen=True):
    """What somebody's asking for the next level comes to."""

    policy: EscalationPolicy
    plan: Plan


_GOOD_NEWS = (Notice.ACKNOWLEDGED, Notice.RESOLVED)
_KINDS = {notice: Kind(notice.value) for notice in Notice}
_AGAIN = (Notice.ESCALATED, Notice.REPEATED)  # the escalation begins again, by the policy that the alert has


def _kind_of(notice: Notice | None) -> Kind:
    return _KINDS[notice or Notice.OPENED]


def _kind(step: Done, alert: Alert) -> Kind:
    """What the messages of a step say that is not done in the moment in which the alert opens."""
    if step.first:
        return Kind.OPENED if alert.generation == 1 else Kind.REPEATED
    return Kind.REPEATED if step.progress.cycle > 0 else Kind.ESCALATED


def _quieten(tx: Tx, change: AlertChange) -> set[str]:
    """Cancels what waits; returns who has heard of the trouble, which only good news needs to know.

    Of a muted alert, only those hear who were told before it became quiet: not of each time that it comes and goes.
    """
    alert = change.alert
    if change.silence_pending:
        store.cancel_pending(tx, alert.number, _why_pointless(alert))
    if change.notice not in _GOOD_NEWS:
        return set()
    return store.told(tx, alert.number, 0 if change.muted_by is None else alert.generation)


def _with_details(change: AlertChange, details: dict[str, object]) -> AlertChange:
    """The change with more in the line that says what happened."""
    return replace(change, history=(*change.history[:-1], _more_said(change.history[-1], details)))


def _more_said(line: HistoryLine, details: Mapping[str, object]) -> HistoryLine:
    return HistoryLine(line.at, line.actor, line.action, line.reason, {**(line.details or {}), **details})


def _step_line(step: Done, policy: EscalationPolicy, actor: str, why: str, now: int) -> HistoryLine:
    """The history line for a step: which level of which policy, and who was told by it, or not."""
    promises = step.reached.promises
    details: dict[str, object] = {"policy": policy.name, "level": step.progress.level, "told": contacts_of(promises)}
    if step.progress.cycle:
        details["cycle"] = step.progress.cycle
    return HistoryLine(now, actor, Action.ESCALATED, why, {**details, **_more(step)})


def _more(step: Done) -> dict[str, object]:
    """Who is on call, who was meant and not reached, who is told as their own rules say, and who hears only after their quiet hours."""
    found: dict[str, object] = {}
    if step.reached.on_call:
        found["on_call"] = list(step.reached.on_call)
    if step.reached.missed:
        found["missed"] = list(step.reached.missed)
    wished = [_as_wished(promise.contact, promise.wished) for promise in step.reached.promises if promise.wished is not None]
    if wished:
        found["by_own_rules"] = wished
    held = [name_of(promise.contact) for promise in step.reached.promises if promise.held]
    if held:
        found["held_for_quiet_hours"] = held
    return found


def _as_wished(contact: Contact, delay: int) -> str:
    return f"{name_of(contact)} after {in_words(delay * SECOND)}" if delay else f"{name_of(contact)} at once"


def _why_pointless(alert: Alert) -> str:
    match alert.status:
        case Status.RESOLVED:
            return Pointless.RESOLVED.value
        case Status.ACKNOWLEDGED:
            return Pointless.ACKNOWLEDGED.value
        case Status.SNOOZED:
            return Pointless.SNOOZED.value
        case _:
            return (Pointless.SUPERSEDED if alert.muted_by is None else Pointless.MUTED).value


def told_line(message: Message, contact: Contact | None, outcome: str, error: str | None, now: int) -> HistoryLine:
    """The history line for what became of a message."""
    target = name_of(contact) if contact else message.contact_id
    details: dict[str, object] = {"message": message.id, "kind": message.kind, "contact": target, "outcome": outcome}
    if error:
        details["error"] = error
    return HistoryLine(now, SYSTEM, Action.NOTIFIED, f"{message.kind}: {outcome}", details)
