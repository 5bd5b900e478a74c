"""How loud a problem is: one scale for events, alerts and messages."""

import enum


class Severity(enum.IntEnum):
    """Product id A3: what each level does by default."""

    INFO = 1  # recorded in the log, nobody is told
    LOW = 2  # push
    MEDIUM = 3  # push and email
    HIGH = 4  # the whole escalation chain
    CRITICAL = 5  # every channel at once

    @property
    def word(self) -> str:
        """The word shown to people: ``critical``."""
        return self.name.lower()
