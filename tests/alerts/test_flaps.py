"""What comes and goes, in any order and at any pace: it never loops, never loses the problem, and always ends calmly."""

from itertools import count

import msgspec
import pytest
from hypothesis import given, strategies as st

from tests.build import an_event, an_id
from tests.fakes import NOW
from tocsin.alerts import flaps, rules
from tocsin.alerts.model import Alert, AlertChange, Notice, Policy
from tocsin.core.clock import HOUR, MINUTE, SECOND

pytestmark = pytest.mark.claim("A8")

POLICY = Policy(flap_window=10 * MINUTE, ack_expiry=4 * HOUR)


class Life:
    """One problem's alerts, as the pipeline leads them from one to the next."""

    def __init__(self) -> None:
        self.now = NOW
        self.alert: Alert | None = None
        self.is_there = False
        self.told: list[Notice] = []
        self._numbers = count(1)

    @property
    def is_over(self) -> bool:
        return self.alert is None or self.alert.status == "resolved"

    def problem(self) -> None:
        event = an_event(occurred_at=self.now)
        if self.alert is None or self.alert.status == "resolved":
            change = rules.open_alert(event, self.alert, self._identity, POLICY, self.now)
            change = flaps.came_back(change, self.alert, self.now)
        else:
            change = flaps.is_there(rules.apply_problem(self.alert, event, self.now), self.now)
        self.is_there = True
        self._take(change)

    def recovery(self) -> None:
        self.is_there = False
        if self.alert is None or self.alert.status == "resolved":
            return
        if flaps.is_flapping(self.alert):
            self._take(flaps.went_away(self.alert, self.now))
        else:
            self._take(rules.apply_recovery(self.alert, an_event(status="recovery"), self.now))

    def wait(self, ms: int) -> None:
        """Time passes; what is due is done when it is due."""
        end = self.now + ms
        while (due := self._due(end)) is not None:
            self.now = max(self.now, due)
            assert self.alert is not None
            self._take(flaps.come_due(self.alert, self.now))
            assert self._due(self.now) is None, "it would be looked at for ever"
        self.now = end

    def _due(self, until: int) -> int | None:
        at = None if self.alert is None else self.alert.noise_at
        return at if at is not None and at <= until else None

    def _identity(self) -> tuple[int, str]:
        number = next(self._numbers)
        return number, an_id(number)

    def _take(self, change: AlertChange) -> None:
        change = flaps.scheduled(change)
        if change.notice is not None:
            self.told.append(change.notice)
        self.alert = change.alert


steps = st.lists(st.tuples(st.sampled_from(["problem", "recovery"]), st.integers(0, 20 * MINUTE)), min_size=1, max_size=40)


@given(steps)
def test_however_it_comes_and_goes_the_problem_is_never_lost_and_it_ends_calmly(found: list[tuple[str, int]]) -> None:
    life = Life()
    for what, wait in found:
        life.problem() if what == "problem" else life.recovery()
        assert not (life.is_there and life.is_over), "what is there has an alert that is not resolved"
        life.wait(wait)
        assert not (life.is_there and life.is_over)
    life.wait(3 * HOUR)
    if life.alert is not None:
        assert not flaps.is_flapping(life.alert)
        assert life.alert.noise_at is None
        assert life.is_over is not life.is_there


@given(st.integers(30 * SECOND, 4 * MINUTE), st.integers(2, 4))
def test_people_hear_a_few_things_however_fast_it_flaps(pace: int, hours: int) -> None:
    """Each change until it is known to flap, then at most one thing an hour, and the end."""
    life = Life()
    end = NOW + hours * HOUR
    while life.now < end:
        life.problem()
        life.wait(pace)
        life.recovery()
        life.wait(pace)
    life.wait(HOUR)
    assert len(life.told) <= 7 + hours + 1
    assert life.told[-1] == Notice.RESOLVED


def test_too_early_or_twice_changes_nothing() -> None:
    life = Life()
    for _ in range(4):
        life.problem()
        life.wait(MINUTE)
        life.recovery()
        life.wait(MINUTE)
    alert = life.alert
    assert alert is not None
    assert flaps.is_flapping(alert)
    assert flaps.come_due(alert, life.now) == AlertChange(alert)
    assert flaps.went_away(alert, life.now) == AlertChange(alert)
    calm = flaps.come_due(alert, life.now + HOUR).alert
    assert flaps.come_due(calm, life.now + HOUR) == AlertChange(calm)
    resolved = msgspec.structs.replace(alert, status="resolved")
    assert not flaps.is_flapping(flaps.come_due(resolved, life.now).alert)
