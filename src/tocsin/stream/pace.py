"""How often open pages ask for what is new on them: in turns, and the more seldom the more the server has to do otherwise.

What presses, a new alert and how many there are, is told to all of them at once. The rest of a page is asked for, and costs some
milliseconds each time: a thousand pages that ask whenever something changes would be all that the server does.
"""

import msgspec

from tocsin.core.clock import SECOND

AT_REST, IN_A_STORM = 40, 3  # pages a second that all together may ask for: while there is nothing else to do, and no end of it
LONGEST = 600 * SECOND
WINDOW = 1.0  # seconds over which it is measured how busy the process is


class Load(msgspec.Struct, frozen=True):
    """How busy this process was lately: *busy*, of one processor, from 0 to 1; measured until *at* (s), when it had *worked* (s)."""

    at: float
    worked: float
    busy: float = 0.0

    def measured(self, at: float, worked: float) -> "Load":
        """The same, later."""
        if at - self.at < WINDOW:
            return self
        return Load(at, worked, min(1.0, (worked - self.worked) / (at - self.at)))


def renew_within(listeners: int, busy: float) -> int:
    """Milliseconds within which each of so many pages asks for what is new on it, at a moment of its own.

    While things change all the time, half of that passes on average from one time to the next: hence the 2.
    """
    rate = max(IN_A_STORM, AT_REST * (1 - busy))
    return min(LONGEST, round(2 * SECOND * listeners / rate))


def is_news(told: int, within: int) -> bool:
    """Whether pages that were told one of these times are to be told the other. That has its price, too: it may be a little wrong."""
    return not told / 2 <= within <= told * 1.25
