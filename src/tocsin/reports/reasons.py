"""Why people were told of an alert, or not: every decision in words, in the order of time. Pure functions over what is stored."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec

from tocsin.alerts.model import Action, Alert, HistoryLine, Status
from tocsin.core.severity import Severity
from tocsin.core.text import counted, cut, one_line
from tocsin.core.times import in_words, to_text
from tocsin.notify.model import Kind, Result, State

MAX_NAMES = 12  # of those who were told by one step
MAX_ERROR = 300


class Receiver(msgspec.Struct, frozen=True):
    """A contact and whose it is; ``user_id`` None: nobody's in particular."""

    id: str
    kind: str
    name: str
    user_id: str | None
    verified_at: int | None
    disabled_at: int | None

    @property
    def words(self) -> str:
        """``ntfy oncall-phone``."""
        return f"{self.kind} {self.name}"


class Post(msgspec.Struct, frozen=True):
    """One message about the alert as it stands. Field order is the column order of the statement."""

    id: str
    kind: str
    step: int
    contact_id: str
    status: str
    created_at: int
    sent_at: int | None
    next_attempt_at: int | None
    due_at: int | None
    last_error: str | None
    digest_id: str | None
    maybe_repeated: bool


class Try(msgspec.Struct, frozen=True):
    """One attempt to send a message. Field order is the column order of the statement."""

    message_id: str
    claimed_at: int
    finished_at: int | None
    outcome: str | None
    error: str | None


class Someone(msgspec.Struct, frozen=True):
    """Whoever may have been told: a user, or a contact that is nobody's in particular (``user_id`` None)."""

    user_id: str | None
    email: str | None
    name: str
    contacts: tuple[Receiver, ...]


class Story(msgspec.Struct, frozen=True):
    """All that is known of one alert."""

    alert: Alert
    history: Sequence[HistoryLine]
    posts: Sequence[Post]
    tries: Mapping[str, Sequence[Try]]  # by message
    receivers: Mapping[str, Receiver]
    people: Sequence[Someone]
    next_level_at: int | None = None
    policy: str | None = None  # the name of the one that it has kept to since it opened


class Because(msgspec.Struct, frozen=True):
    """One decision or what came of it. ``contact`` and ``message`` are set where it is about one message."""

    at: int
    what: str
    text: str
    contact: str | None = None
    message: str | None = None


class Answer(msgspec.Struct, frozen=True):
    """Why one person was told, or not, in a sentence."""

    someone: Someone
    paged: bool
    sentence: str


PROBLEMS = frozenset({Kind.OPENED.value, Kind.ESCALATED.value, Kind.REPEATED.value})
ARRIVED = (State.SENT.value, State.DELIVERED.value)


def explain(story: Story, only: Someone | None = None) -> list[Because]:
    """Every decision in the order of time; *only*: of the messages, those to this one."""
    found = [_decision(line) for line in story.history if line.action != Action.NOTIFIED]
    if story.policy is not None and story.history:
        found.insert(1, Because(story.history[0].at, "policy", f"Whom to tell, and when, says the policy {story.policy} as it then was."))
    if story.alert.occurrences > 1:
        times = counted(story.alert.occurrences, "time")
        found.append(Because(story.alert.last_seen_at, "repeated", f"Seen {times} so far. Repeats are counted and tell nobody anew."))
    own = None if only is None else {receiver.id for receiver in only.contacts}
    for post in story.posts:
        if own is None or post.contact_id in own:
            found += _message(story, post)
    return sorted(found, key=lambda one: one.at)


# Decisions about the alert.

_DONE: Mapping[str, str] = {
    Action.OPENED: "It opened",
    Action.REOPENED: "It came back",
    Action.SEVERITY_RAISED: "It got worse",
    Action.ACKNOWLEDGED: "{who} acknowledged it: what waited to be sent was cancelled",
    Action.UNACKNOWLEDGED: "{who} gave it back, so people are told again",
    Action.ACKNOWLEDGEMENT_EXPIRED: "The acknowledgement ran out, so people are told again",
    Action.SNOOZED: "{who} snoozed it: what waited to be sent was cancelled",
    Action.SNOOZE_ENDED: "The snooze ended with the problem still there, so people are told again",
    Action.RESOLVED: "{who} resolved it: what waited to be sent was cancelled",
    Action.MUTED: "It became quiet",
    Action.UNMUTED: "Nothing keeps it quiet any more",
    Action.FLAPPING: "It comes and goes: a message now and then instead of one for each change",
    Action.CALMED: "It no longer comes and goes",
    Action.RESTARTED: "People are told of it from the beginning",
    Action.ASSIGNED: "{who} assigned it",
    Action.COMMENTED: "{who} left a note",
    Action.UNDONE: "{who} took the last step back",
    Action.ESCALATED: "More people were told",
}


def _decision(line: HistoryLine) -> Because:
    details = line.details or {}
    who = "Tocsin" if line.actor == "tocsin" else line.actor
    parts = [_DONE.get(line.action, line.action.replace("_", " ").capitalize()).format(who=who)]
    severity = details.get("severity", details.get("to"))
    if line.action in (Action.OPENED, Action.REOPENED, Action.SEVERITY_RAISED) and severity in set(Severity):
        parts[0] += f" as {Severity(severity).word}"
    if line.action == Action.ESCALATED and "level" in details:
        again = f", round {details['cycle'] + 1}" if isinstance(details.get("cycle"), int) else ""
        parts[0] = f"Level {details['level']} of {details.get('policy', 'the policy')}{again}"
    if line.reason and line.reason != "asked for":
        parts[0] += f": {line.reason}" if ": " not in parts[0] else f" ({line.reason})"
    if details.get("rules"):
        parts.append(f"Decided by {_names(details['rules'], '; ')}")
    parts += _whom(details)
    if line.action in (Action.MUTED, Action.UNMUTED):
        parts += [f"{word} {details[key]}" for key, word in (("by", "By"), ("was", "It was")) if details.get(key)]
    if "until" in details:
        parts.append(f"Until {details['until']}")
    return Because(line.at, line.action, one_line(". ".join(parts)) + ".")


def _whom(details: Mapping[str, Any]) -> list[str]:
    told, found = details.get("told"), []
    if isinstance(told, str):
        found.append(f"Nobody was told: {told.removeprefix('nobody: ')}")
    elif isinstance(told, list):
        found.append(f"Told: {_names(told)}" if told else "Nobody was told by it")
    if details.get("on_call"):
        found.append(f"On call: {_names(details['on_call'])}")
    if details.get("missed"):
        found.append(f"Not reached: {_names(details['missed'], '; ')}")
    if details.get("by_own_rules"):
        found.append(f"By their own rules: {_names(details['by_own_rules'])}")
    if details.get("held_for_quiet_hours"):
        found.append(f"Held until their quiet hours end: {_names(details['held_for_quiet_hours'])}")
    return found


def _names(names: Sequence[Any], between: str = ", ") -> str:
    shown = between.join(str(name) for name in names[:MAX_NAMES])
    return f"{shown} and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else shown


# Messages.

_SAYS: Mapping[str, str] = {
    Kind.OPENED: "that it began",
    Kind.ESCALATED: "that it needs somebody",
    Kind.REPEATED: "that it is still there",
    Kind.ACKNOWLEDGED: "that somebody has it",
    Kind.RESOLVED: "that it is over",
    Kind.DIGEST: "a digest",
}
_OUTCOMES: Mapping[str, str] = {
    Result.SENT: "the provider took it",
    Result.TEMPORARY: "it failed for now, and is tried again",
    Result.PERMANENT: "it cannot be sent to this contact; others are asked",
    Result.REFUSED: "our credentials or settings were refused",
    Result.UNKNOWN: "it left, and no answer came back",
}


def _message(story: Story, post: Post) -> list[Because]:
    receiver = story.receivers.get(post.contact_id)
    contact = post.contact_id if receiver is None else receiver.words
    whose = _owner(story, receiver)
    held = f"; held until {to_text(post.due_at)}" if post.due_at is not None and post.due_at > post.created_at else ""
    say = _SAYS.get(post.kind, post.kind)
    found = [Because(post.created_at, "message", f"To be told {say}: {contact}{whose}{held}.", contact, post.id)]
    carrier = post.digest_id or post.id
    for number, one in enumerate(story.tries.get(carrier, ()), 1):
        found.append(Because(one.finished_at or one.claimed_at, "attempt", _attempt(number, one, contact, post), contact, post.id))
    end = _end(post, contact)
    if end is not None:
        found.append(Because(max(found[-1].at, post.sent_at or 0), "outcome", end, contact, post.id))
    return found


def _owner(story: Story, receiver: Receiver | None) -> str:
    owner = next((one for one in story.people if receiver is not None and one.user_id and one.user_id == receiver.user_id), None)
    return f" of {owner.name}" if owner else ""


def _attempt(number: int, one: Try, contact: str, post: Post) -> str:
    bundled = f" in the digest {post.digest_id}, together with others" if post.digest_id else ""
    if one.outcome is None:
        return f"Attempt {number} to {contact}{bundled} is under way."
    error = f": {cut(one_line(one.error), MAX_ERROR)}" if one.error else ""
    return f"Attempt {number} to {contact}{bundled}: {_OUTCOMES.get(one.outcome, one.outcome)}{error}."


def _end(post: Post, contact: str) -> str | None:
    match post.status:
        case State.CANCELLED:
            return f"Not sent to {contact}: {post.last_error or 'it had lost its point'}."
        case State.FAILED:
            return f"Never reached {contact}: {cut(one_line(post.last_error or 'it cannot be sent'), MAX_ERROR)}."
        case State.PENDING:
            return _waits(post, contact)
        case State.UNKNOWN:
            return f"Nobody knows whether it reached {contact}: it left, and no answer came back."
        case State.DELIVERED:
            return f"{contact} received it."
    return f"{contact} may have got it twice." if post.maybe_repeated else None


def _waits(post: Post, contact: str) -> str:
    if post.last_error:
        return f"Waits for its next attempt to {contact}: {cut(one_line(post.last_error), MAX_ERROR)}."
    if post.due_at is not None:
        return f"Waits for its time to go to {contact}: {to_text(post.due_at)}."
    if _waits_for_others(post):
        return (
            f"Waits for others of the same cause, to go to {contact} with them in one message: until {to_text(post.next_attempt_at or 0)}."
        )
    return f"Waits to go to {contact}: the contact's rate is used up, or a quicker contact of the same person comes first."


def _waits_for_others(post: Post) -> bool:
    """Whether it was held back when it was made, for its group; what waits for the rate could have gone then."""
    return post.next_attempt_at is not None and post.next_attempt_at > post.created_at


# One sentence for each person.


def answers(story: Story) -> list[Answer]:
    """For everybody who could have been told: were they, and why (not)."""
    return [answer(story, someone) for someone in story.people]


def answer(story: Story, someone: Someone) -> Answer:
    """For one of them."""
    own = {receiver.id: receiver for receiver in someone.contacts}
    pages = [post for post in story.posts if post.contact_id in own and post.kind in PROBLEMS]
    arrived = [post for post in pages if post.status in ARRIVED and post.sent_at is not None]
    if arrived:
        first = min(arrived, key=lambda post: post.sent_at or 0)
        return Answer(someone, True, _paged(story, someone, first, own[first.contact_id], len(arrived)))
    why = _not_paged(pages, own) if pages else _never_asked(story, someone)
    return Answer(someone, False, f"{someone.name} was not paged: {why}.")


def _paged(story: Story, someone: Someone, first: Post, receiver: Receiver, count: int) -> str:
    at = first.sent_at or 0
    after = in_words(at - story.history[0].at) if story.history else in_words(at - first.created_at)
    bundled = ", in a digest" if first.digest_id else ""
    more = f", {counted(count, 'message')} in all" if count > 1 else ""
    return f"{someone.name} was paged at {to_text(at)} by {receiver.words}{bundled}, {after} after the alert opened{more}."


def _not_paged(pages: Sequence[Post], own: Mapping[str, Receiver]) -> str:
    """The newest message to each contact says why."""
    newest = {post.contact_id: post for post in sorted(pages, key=lambda post: post.created_at)}
    reasons = [f"{own[contact].words}: {_why_not(post)}" for contact, post in newest.items()]
    return "; ".join(dict.fromkeys(reasons))


def _why_not(post: Post) -> str:
    match post.status:
        case State.UNKNOWN:
            return "a message left and no answer came back, so it may have arrived"
        case State.SENDING:
            return "a message is under way"
        case State.PENDING if post.last_error:
            return f"it is tried again, so far in vain ({cut(one_line(post.last_error), MAX_ERROR)})"
        case State.PENDING if post.due_at is not None:
            return f"the message is held until {to_text(post.due_at)}"
        case State.PENDING if _waits_for_others(post):
            return f"the message waits until {to_text(post.next_attempt_at or 0)} for others of the same cause, to go with them"
        case State.PENDING:
            return "the message waits for the contact's rate, or for a quicker contact of the same person"
    return cut(one_line(post.last_error or post.status), MAX_ERROR)


def _never_asked(story: Story, someone: Someone) -> str:
    alert, usable = story.alert, [one for one in someone.contacts if one.disabled_at is None and one.verified_at is not None]
    missed = _missed(story.history, someone.name)
    if missed:
        return missed
    if not usable:
        return "there is no contact that messages can go to" if someone.user_id is None else "they have no contact that messages can go to"
    quiet = _quiet(story.history)
    if quiet is not None:
        return quiet
    if alert.severity <= Severity.INFO:
        return "info is only recorded, and nobody is told"
    begun = story.history[0].at if story.history else alert.first_seen_at
    if min(one.verified_at or 0 for one in usable) > begun:
        return "they had no contact yet when the alert opened"
    ended = _ended(story.history)
    others = _on_call(story.history) if someone.user_id is not None else ""
    if ended is not None:
        return f"no level that was reached before {ended} concerns them{others}"
    later = f"; the next level comes at {to_text(story.next_level_at)}" if story.next_level_at is not None else ""
    return f"no level so far concerns them{others}{later}"


def _on_call(history: Sequence[HistoryLine]) -> str:
    """Who was on call when the levels came that go by a schedule."""
    names = dict.fromkeys(name for line in history for name in (line.details or {}).get("on_call", ()))
    return f", and on call was {_names(list(names))}" if names else ""


def _missed(history: Sequence[HistoryLine], name: str) -> str | None:
    for line in reversed(history):
        for words in (line.details or {}).get("missed", ()):
            who, _, why = str(words).partition(": ")
            if why and (who == name or who.startswith(f"{name} ")):
                return why
    return None


def _quiet(history: Collection[HistoryLine]) -> str | None:
    """What kept everybody from being told, as the first line says that has it."""
    for line in history:
        told = (line.details or {}).get("told")
        if isinstance(told, str) and told.startswith("nobody: "):
            return told.removeprefix("nobody: ")
    return None


def _ended(history: Sequence[HistoryLine]) -> str | None:
    for line in history:
        if line.action in (Action.ACKNOWLEDGED, Action.RESOLVED, Action.SNOOZED):
            done = Status(line.action).value
            return f"it was {done}" if line.actor == "tocsin" else f"{line.actor} {done} it"
    return None
