"""Which of many rules match, found field by field: a number with one bit for each rule.

For each value of a field it is worked out once which rules it does not speak against; an event's rules are what is left of
all its fields. Most values come again and again.
"""

from collections.abc import Callable, Sequence

from tocsin.core.clock import MINUTE
from tocsin.muting.matching import TOGETHER, Predicate, any_of, predicate
from tocsin.muting.model import Matcher, Op
from tocsin.ruling.model import EventRule
from tocsin.ruling.week import Week

REMEMBERED = 5_000  # values of one field
_LONGEST = 256  # characters of a value that is remembered
_FIRST = ("type", "host", "subject", "site", "severity", "source", "title", "message")  # what rules out most comes first


class Masks:
    """Some rules, ready to be asked together. Bit n stands for rule n."""

    __slots__ = ("_always", "_minute", "_timed", "_weeks", "all", "fields")

    def __init__(self, rules: Sequence[EventRule], remembered: int = REMEMBERED) -> None:
        """*remembered*: so many values of each field need not be looked at twice."""
        self.all = (1 << len(rules)) - 1
        names = {m.field for rule in rules for m in rule.matchers}
        order = [*[name for name in _FIRST if name in names], *sorted(names.difference(_FIRST))]
        self.fields = tuple(FieldMasks(name, rules, remembered) for name in order)
        self._weeks = [(1 << place, Week(rule.times, rule.time_zone)) for place, rule in enumerate(rules) if rule.times]
        self._always = self.all & ~sum(bit for bit, _ in self._weeks)
        self._minute, self._timed = -1, self._always

    def of(self, get: Callable[[str], str], at: int) -> int:
        """The rules that match what *get* says of each field, at the moment *at*."""
        mask = self.at(at)
        for field in self.fields:
            if mask & field.asked:
                mask &= field.of(get(field.name))
        return mask

    def at(self, moment: int) -> int:
        """The rules that hold at a moment: the same for a whole minute."""
        if not self._weeks:
            return self.all
        minute = moment // MINUTE
        if minute != self._minute:
            # Another thread may come in between; each line alone leaves something true.
            self._minute = -1
            self._timed = self._always | sum(bit for bit, week in self._weeks if week.holds(moment))
            self._minute = minute
        return self._timed


class FieldMasks:
    """What the values of one field leave of the rules. ``asked``: the rules that look at it; ``known``: values that came before."""

    __slots__ = ("_exact", "_free", "_remembered", "_screened", "_slow", "asked", "known", "name")

    def __init__(self, name: str, rules: Sequence[EventRule], remembered: int) -> None:
        self.name, self._remembered = name, remembered
        self._free = 0
        self._exact: dict[str, int] = {}
        self._slow: list[tuple[int, list[Predicate]]] = []
        self._screened: list[tuple[Predicate, list[tuple[int, list[Predicate]]]]] = []
        self.known: dict[str | int | None, int] = {}
        screened: dict[Op, list[tuple[int, Matcher]]] = {}
        for place, rule in enumerate(rules):
            bit, mine = 1 << place, [m for m in rule.matchers if m.field == name]
            if not mine:
                self._free |= bit
            elif len(mine) == 1 and mine[0].op is Op.EQUAL:
                self._exact[mine[0].value] = self._exact.get(mine[0].value, 0) | bit
            elif len(mine) == 1 and mine[0].op in (Op.PREFIX, Op.REGEX):
                screened.setdefault(mine[0].op, []).append((bit, mine[0]))
            else:
                self._slow.append((bit, [predicate(m) for m in mine]))
        self.asked = ~self._free
        for op, members in screened.items():
            for start in range(0, len(members), TOGETHER):
                self._screen(op, members[start : start + TOGETHER])

    def _screen(self, op: Op, members: Sequence[tuple[int, Matcher]]) -> None:
        """One look at many prefixes or expressions tells whether any could match."""
        fits = any_of(op, [m.value for _, m in members], remember=False) if len(members) > 1 else None
        ready = [(bit, [predicate(m)]) for bit, m in members]
        if fits is None:
            self._slow += ready
        else:
            self._screened.append((fits, ready))

    def of(self, value: str) -> int:
        """The rules that this value does not speak against."""
        mask = self.known.get(value)
        return self.learn(value, value) if mask is None else mask

    def learn(self, value: str | int | None, text: str) -> int:
        """The same for a value that was not known: what it reads as is *text*."""
        mask = self._work_out(text)
        if len(text) <= _LONGEST:
            if len(self.known) >= self._remembered:
                self.known.clear()
            self.known[value] = mask
        return mask

    def _work_out(self, value: str) -> int:
        mask = self._free | self._exact.get(value, 0)
        for bit, all_of in self._slow:
            if all(fits(value) for fits in all_of):
                mask |= bit
        for screen, members in self._screened:
            if screen(value):
                for bit, all_of in members:
                    if all_of[0](value):
                        mask |= bit
        return mask
