"""When which step is due, as tables; and what keeps a policy from being saved."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, strategies as st

from tests.fakes import NOW
from tocsin.core.clock import HOUR, MINUTE, SECOND
from tocsin.escalation import rules
from tocsin.escalation.model import (
    EscalationPolicy,
    Progress,
    Standing,
    Step,
    StepReason,
    Target,
    TargetKind,
)
from tocsin.escalation.rules import Known, KnownGroup, KnownUser

MARTA, BEN, OLD_IDA, MUTE_TOM = "u-marta", "u-ben", "u-ida", "u-tom"
ROOM, HOOK = "c-room", "c-hook"
KNOWN = Known(
    users={
        MARTA: KnownUser("Marta", active=True, reachable=True),
        BEN: KnownUser("Ben", active=True, reachable=True),
        OLD_IDA: KnownUser("Ida", active=False, reachable=True),
        MUTE_TOM: KnownUser("Tom", active=True, reachable=False),
    },
    schedules={
        "nights": KnownGroup("Nights", (MARTA, BEN)),
        "empty": KnownGroup("Weekends", ()),
        "silent": KnownGroup("Days", (MARTA, MUTE_TOM)),
    },
    teams={
        "admins": KnownGroup("Admins", (MARTA,)),
        "nobody": KnownGroup("Interns", ()),
        "former": KnownGroup("Founders", (OLD_IDA, "u-x")),
    },
    channels={ROOM: "slack", HOOK: "webhook"},
    kinds=("ntfy", "email", "sms", "voice"),
)


def a_step(delay: int = 0, *targets: Target, **more: Any) -> Step:
    return Step(delay, targets or (Target(TargetKind.USER, MARTA),), **more)


def a_policy(*steps: Step, **more: Any) -> EscalationPolicy:
    return EscalationPolicy("p-1", "Nights", steps or (a_step(), a_step(600), a_step(300)), **more)


def lived(policy: EscalationPolicy, severity: int, until: int) -> list[tuple[int, int, int]]:
    """Each step that is due until then, done to the second: seconds after the opening, cycle, level."""
    progress = rules.begin(1, 1, severity, policy, NOW)
    done = []
    while progress.next_at is not None and progress.next_at <= NOW + until:
        decision = rules.next_step(progress, policy, progress.next_at)
        progress = decision.progress
        assert decision.step is policy.steps[progress.level]
        done.append(((decision.due_at - NOW) // SECOND, progress.cycle, progress.level))
    return done


@pytest.mark.claim("A4", "origin:E2", "origin:E3")
@pytest.mark.parametrize(
    ("severity", "minutes"),
    [(1, []), (2, [(0, 0)]), (3, [(0, 0), (60, 1), (120, 2)]), (4, [(0, 0), (30, 1), (60, 2)]), (5, [(0, 0), (15, 1), (30, 2)])],
)
def test_the_built_in_policy_waits_the_shorter_the_louder_the_alert(severity: int, minutes: list[tuple[int, int]]) -> None:
    assert [(at // 60, level) for at, _, level in lived(rules.built_in(), severity, 100 * HOUR)] == minutes


@pytest.mark.claim("origin:E2", "origin:E3")
def test_the_built_in_policy_mails_the_admins_then_calls_who_is_on_call() -> None:
    steps = rules.built_in().steps
    assert [(step.channels, step.targets[0].kind) for step in steps] == [
        ((), "on_call"),
        (("email",), "admins"),
        (("sms", "voice"), "on_call"),
    ]


@pytest.mark.claim("A4")
@pytest.mark.parametrize(
    ("policy", "severity", "timetable"),
    [
        (a_policy(), 4, [(0, 0, 0), (600, 0, 1), (900, 0, 2)]),
        (a_policy(repeat=1), 4, [(0, 0, 0), (600, 0, 1), (900, 0, 2), (900, 1, 0), (1500, 1, 1), (1800, 1, 2)]),
        (a_policy(a_step(60)), 4, [(60, 0, 0)]),
        (a_policy(a_step(60), repeat=2), 4, [(60, 0, 0), (120, 1, 0), (180, 2, 0)]),
        (a_policy(a_step(0), a_step(600, delay_by_severity={5: 60})), 5, [(0, 0, 0), (60, 0, 1)]),
        (a_policy(a_step(0), a_step(600, delay_by_severity={5: 60})), 4, [(0, 0, 0), (600, 0, 1)]),
        (a_policy(a_step(0), a_step(600, severity_min=5), a_step(60)), 4, [(0, 0, 0), (60, 0, 2)]),
        (a_policy(a_step(0), a_step(600, severity_min=5), a_step(60)), 5, [(0, 0, 0), (600, 0, 1), (660, 0, 2)]),
        (a_policy(a_step(0), a_step(60), entry={5: 1}), 5, [(60, 0, 1)]),
        (a_policy(a_step(0), a_step(60), entry={5: 1}, repeat=1), 5, [(60, 0, 1), (120, 1, 1)]),
        (a_policy(a_step(0), a_step(60), entry={5: 1}), 4, [(0, 0, 0), (60, 0, 1)]),
        (a_policy(a_step(0, severity_min=5)), 4, []),
    ],
)
def test_each_step_comes_its_delay_after_the_one_before_it(
    policy: EscalationPolicy, severity: int, timetable: list[tuple[int, int, int]]
) -> None:
    assert lived(policy, severity, 100 * HOUR) == timetable


def test_nothing_is_due_before_its_time_and_nothing_after_the_last() -> None:
    policy = a_policy(a_step(0), a_step(60))
    progress = rules.next_step(rules.begin(1, 1, 4, policy, NOW), policy, NOW).progress
    early = rules.next_step(progress, policy, NOW + MINUTE - 1)
    assert (early.reason, early.step, early.progress) == (StepReason.NOT_DUE, None, progress)
    last = rules.next_step(progress, policy, NOW + MINUTE).progress
    assert (last.state, last.next_at, last.level) == (Standing.ENDED, None, 1)
    assert rules.next_step(last, policy, NOW + HOUR).reason is StepReason.NOT_RUNNING


@pytest.mark.parametrize(
    ("level", "cycle", "late", "reason"),
    [
        (-1, 0, 0, StepReason.OPENED),
        (0, 0, 0, StepReason.NOT_TAKEN),
        (0, 0, MINUTE - 1, StepReason.NOT_TAKEN),
        (0, 0, MINUTE, StepReason.OVERDUE),
        (-1, 0, HOUR, StepReason.OVERDUE),
        (2, 0, 0, StepReason.AGAIN),
        (0, 1, 0, StepReason.NOT_TAKEN),
    ],
)
def test_each_step_says_why_it_is_taken(level: int, cycle: int, late: int, reason: StepReason) -> None:
    policy = a_policy(repeat=1)
    progress = Progress(1, 1, "p-1", 1, 4, level, cycle, "running", NOW, NOW)
    assert rules.next_step(progress, policy, NOW + late).reason is reason


@pytest.mark.claim("A4")
def test_what_is_overdue_comes_in_one_go_and_the_timetable_stays() -> None:
    """Hard rule 10: six hours without us. Each step keeps the moment at which it was due; what is still to come keeps its time."""
    policy = a_policy(a_step(0), a_step(2 * 3600), a_step(2 * 3600), a_step(3 * 3600))
    progress, now, done = rules.begin(1, 1, 4, policy, NOW), NOW + 6 * HOUR, []
    while (decision := rules.next_step(progress, policy, now)).step is not None:
        progress = decision.progress
        done.append((progress.level, (decision.due_at - NOW) // HOUR))
    assert done == [(0, 0), (1, 2), (2, 4)]
    assert progress.next_at == NOW + 7 * HOUR


@pytest.mark.claim("A4")
def test_who_hears_nothing_does_not_hold_up_the_next_level() -> None:
    policy = a_policy()
    progress = rules.next_step(rules.begin(1, 1, 4, policy, NOW), policy, NOW).progress
    decision = rules.next_step(rules.hurry(progress, NOW), policy, NOW, StepReason.NOBODY_REACHED)
    assert (decision.progress.level, decision.reason) == (1, StepReason.NOBODY_REACHED)
    assert decision.progress.next_at == NOW + 5 * MINUTE


def test_there_is_nothing_to_hurry_at_the_end() -> None:
    ended = Progress(1, 1, "p-1", 1, 4, 2, 0, "ended", None, NOW)
    assert rules.hurry(ended, NOW) == ended


@pytest.mark.claim("A4")
def test_two_who_press_at_once_escalate_once() -> None:
    policy = a_policy()
    progress = rules.next_step(rules.begin(1, 1, 4, policy, NOW), policy, NOW).progress
    first = rules.escalate(progress, policy, 0, NOW + MINUTE)
    assert (first.reason, first.progress.level, first.progress.next_at) == (StepReason.ASKED, 1, NOW + MINUTE + 5 * MINUTE)
    second = rules.escalate(first.progress, policy, 0, NOW + MINUTE)
    assert (second.reason, second.step, second.progress) == (StepReason.ALREADY, None, first.progress)


def test_who_saw_a_level_of_an_earlier_round_does_not_escalate_the_later_one() -> None:
    """The list repeats at once after its last level: level 0 of the second round is level 2 for people."""
    policy = a_policy(a_step(0), a_step(60), repeat=1)
    progress = rules.next_step(rules.begin(1, 1, 4, policy, NOW), policy, NOW).progress
    once = rules.escalate(progress, policy, 0, NOW).progress
    again = rules.next_step(once, policy, NOW).progress
    assert [policy.count(one) for one in (progress, once, again)] == [0, 1, 2]
    assert (again.level, rules.escalate(again, policy, 0, NOW).reason) == (0, StepReason.ALREADY)


@pytest.mark.parametrize("state", ["stopped", "running"])
def test_escalating_goes_on_from_where_the_escalation_stood(state: str) -> None:
    progress = Progress(1, 1, "p-1", 1, 4, 0, 0, state, None, NOW)
    decision = rules.escalate(progress, a_policy(), None, NOW)
    assert (decision.progress.level, decision.progress.state) == (1, Standing.RUNNING)


def test_after_the_last_level_there_is_nothing_to_escalate_to() -> None:
    ended = Progress(1, 1, "p-1", 1, 4, 2, 0, "ended", None, NOW)
    decision = rules.escalate(ended, a_policy(), 2, NOW)
    assert (decision.reason, decision.step) == (StepReason.AT_THE_END, None)


def test_steps_of_all_cycles_have_numbers_of_their_own() -> None:
    policy = a_policy(repeat=3)
    progress, numbers = rules.begin(1, 1, 4, policy, NOW), []
    while progress.next_at is not None:
        progress = rules.next_step(progress, policy, progress.next_at).progress
        numbers.append(progress.step)
    assert numbers == [0, 1, 2, 100, 101, 102, 200, 201, 202, 300, 301, 302]


SECONDS = st.integers(0, 5000)
STEPS = st.builds(
    Step,
    delay_seconds=SECONDS,
    targets=st.just((Target(TargetKind.USER, MARTA),)),
    delay_by_severity=st.dictionaries(st.integers(1, 5), SECONDS, max_size=3),
    severity_min=st.integers(1, 5),
)


@st.composite
def policies(draw: st.DrawFn) -> EscalationPolicy:
    steps = tuple(draw(st.lists(STEPS, min_size=1, max_size=5)))
    entry = draw(st.dictionaries(st.integers(1, 5), st.integers(0, len(steps) - 1), max_size=3))
    return EscalationPolicy("p-1", "Any", steps, draw(st.integers(0, 3)), entry)


@pytest.mark.claim("A4", "A17")
@given(policy=policies(), severity=st.integers(1, 5), wakes=st.lists(st.integers(0, 3 * HOUR), max_size=30))
def test_whenever_the_engine_wakes_it_does_the_same_steps(policy: EscalationPolicy, severity: int, wakes: list[int]) -> None:
    """In one go after a week, or at any moments in between: the same levels, due at the same moments, each once."""
    end = NOW + 40 * 24 * HOUR
    progress, done, now = rules.begin(1, 1, severity, policy, NOW), [], NOW
    for wake in [*wakes, end - NOW]:
        now = min(end, now + wake)
        while (decision := rules.next_step(progress, policy, now)).step is not None:
            progress = decision.progress
            assert decision.due_at <= now
            done.append(((decision.due_at - NOW) // SECOND, progress.cycle, progress.level))
    assert done == lived(policy, severity, end - NOW)
    assert len({(cycle, level) for _, cycle, level in done}) == len(done)
    assert progress.state == Standing.ENDED


# Saving.


def complaints(*steps: Step, **more: Any) -> list[tuple[str, str]]:
    return [(fault.field, fault.message) for fault in rules.faults(a_policy(*steps, **more), KNOWN)]


def at(kind: str, an_id: str = "") -> Step:
    return a_step(0, Target(TargetKind(kind), an_id))


@pytest.mark.parametrize(
    "step",
    [
        at("user", MARTA),
        at("schedule", "nights"),
        at("team", "admins"),
        at("channel", ROOM),
        at("channel", HOOK),
        at("webhook", HOOK),
        at("on_call"),
        at("admins"),
        at("shared"),
        a_step(0, channels=("sms",)),
    ],
)
def test_what_reaches_somebody_can_be_saved(step: Step) -> None:
    assert complaints(step) == []


@pytest.mark.parametrize(
    ("step", "complaint"),
    [
        (at("user", "u-x"), "there is no user u-x"),
        (at("user", OLD_IDA), "Ida is disabled or gone: put somebody else there"),
        (at("user", MUTE_TOM), "Tom has no verified contact"),
        (at("schedule", "s-x"), "there is no schedule s-x"),
        (at("schedule", "empty"), "the schedule Weekends has nobody in its rotations"),
        (at("schedule", "silent"), "Tom has no verified contact"),
        (at("team", "t-x"), "there is no team t-x"),
        (at("team", "nobody"), "the team Interns has no members"),
        (at("team", "former"), "Ida, u-x are disabled or gone: put somebody else there"),
        (at("channel", "c-x"), "there is no channel c-x"),
        (at("webhook", "c-x"), "there is no webhook c-x"),
        (at("webhook", ROOM), "there is no webhook c-room"),
        (at("admins", MARTA), "must be left out: admins is a group"),
    ],
)
def test_a_step_that_would_reach_nobody_is_refused_and_says_whom(step: Step, complaint: str) -> None:
    assert complaints(a_step(), step) == [("steps[1].targets[0].id", complaint)]


@pytest.mark.parametrize(
    ("steps", "more", "field", "complaint"),
    [
        ([a_step() for _ in range(21)], {}, "steps", "must have 1 to 20 steps; it has 21"),
        ([a_step(-1)], {}, "steps[0].delay_seconds", "must be a whole number of seconds from 0 to 604800 (7 days)"),
        ([a_step(604_801)], {}, "steps[0].delay_seconds", "must be a whole number of seconds from 0 to 604800 (7 days)"),
        (
            [a_step(delay_by_severity={4: 10**12})],
            {},
            "steps[0].delay_by_severity.4",
            "must be a whole number of seconds from 0 to 604800 (7 days)",
        ),
        ([a_step(delay_by_severity={9: 1})], {}, "steps[0].delay_by_severity.9", "must be a severity from 1 to 5"),
        ([a_step(severity_min=6)], {}, "steps[0].severity_min", "must be a severity from 1 to 5"),
        ([a_step(0, *[Target(TargetKind.USER, MARTA)] * 2)], {}, "steps[0].targets[1]", "is named twice"),
        ([a_step(channels=("pigeon",))], {}, "steps[0].channels[0]", "is none of email, ntfy, sms, voice"),
        ([a_step()], {"repeat": -1}, "repeat", "must be a whole number from 0 to 20"),
        ([a_step(60)], {"repeat": 21}, "repeat", "must be a whole number from 0 to 20"),
        (
            [a_step()],
            {"repeat": 2},
            "repeat",
            "would tell the same people 3 times in the same moment at severity 2: give a step a delay",
        ),
        (
            [a_step(), a_step(60, delay_by_severity={5: 0})],
            {"repeat": 1},
            "repeat",
            "would tell the same people 2 times in the same moment at severity 5: give a step a delay",
        ),
        ([a_step(604_800)] * 3, {"repeat": 1}, "repeat", "takes 42 d at severity 2; at most 30 d are allowed"),
        ([a_step()], {"entry": {9: 0}}, "entry.9", "must be a severity from 1 to 5"),
        ([a_step()], {"entry": {5: 1}}, "entry.5", "is no level of this policy; its levels are 0 to 0"),
        ([a_step(severity_min=5)], {"entry": {4: 0}}, "entry.4", "begins at a level that is for severity 5 and louder only"),
        (
            [a_step(), a_step()],
            {"entry": {2: 1, 3: 1, 4: 1, 5: 1}},
            "steps[0]",
            "is never reached: at every severity the policy begins behind it",
        ),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused_with_the_field(
    steps: list[Step], more: dict[str, Any], field: str, complaint: str
) -> None:
    assert (field, complaint) in complaints(*steps, **more)


def test_a_policy_without_steps_and_a_step_without_targets_are_refused() -> None:
    policy = EscalationPolicy("p-1", "Empty", ())
    assert [fault.field for fault in rules.faults(policy, KNOWN)] == ["steps"]
    assert [fault.field for fault in rules.faults(a_policy(Step(0, ())), KNOWN)] == ["steps[0].targets"]


def test_the_built_in_policy_would_pass_its_own_check() -> None:
    assert rules.faults(rules.built_in(), KNOWN) == ()


def test_a_policy_comes_back_from_json_as_it_was() -> None:
    policy = rules.built_in()
    assert msgspec.json.decode(msgspec.json.encode(policy), type=EscalationPolicy) == policy
