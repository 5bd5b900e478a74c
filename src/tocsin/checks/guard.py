"""Tells our own network's loss from theirs: where one target is silent, others that answered lately are asked at once (0044)."""

import asyncio
from collections import OrderedDict

from tocsin.checks.model import Finding
from tocsin.core.clock import SECOND, Clock
from tocsin.net.dial import DialFault, Fault, Trace, dial
from tocsin.net.http import is_public

REMEMBERED = 64  # places that answered, the latest last
ASKED = 3
WITHIN = 3.0  # seconds
KNOWN_FOR = 5 * SECOND  # an answer holds for the next silent targets


class Guard:
    """Remembers who answered. ``is_lost`` is what was found out last."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._places: OrderedDict[tuple[str, int], bool] = OrderedDict()  # whether each is public
        self._asking = asyncio.Lock()
        self._known: dict[bool, tuple[int, bool]] = {}  # for public and private places: until when the answer holds, and the answer

    def heard(self, found: Finding) -> None:
        """Notes where an answer came from."""
        if not found.heard or found.address is None or found.port is None or found.address.startswith(("127.", "::1")):
            return
        place = (found.address, found.port)
        self._places[place] = is_public(found.address)
        self._places.move_to_end(place)
        while len(self._places) > REMEMBERED:
            self._places.popitem(last=False)

    async def is_ours(self, address: str | None) -> bool:
        """Whether nothing that answered lately answers now. False where nothing else is known: one silent target alone cannot tell."""
        public = address is None or is_public(address)
        async with self._asking:
            until, answer = self._known.get(public, (0, False))
            if self._clock.now() < until:
                return answer
            places = [place for place, its in reversed(self._places.items()) if its is public and place[0] != address][:ASKED]
            answers = await asyncio.gather(*[_answers(*place) for place in places])
            answer = bool(answers) and not any(answers)
            self._known[public] = (self._clock.now() + KNOWN_FOR, answer)
            return answer


async def _answers(address: str, port: int) -> bool:
    try:
        line = await dial(address, port, Trace(), allow_private=True, within=WITHIN)
    except DialFault as fault:
        return fault.fault is Fault.REFUSED
    line.close()
    return True
