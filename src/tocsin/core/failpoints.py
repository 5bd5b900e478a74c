"""Named places where a crash test may end the process. In production nothing is armed and `reach` does nothing.

The boundaries of `docs/explanation/delivery.md` stand in the code as ``failpoints.reach("commit.before")``.
"""

from collections.abc import Callable

NAMES = (
    "commit.before",
    "commit.after",
    "answer.before",
    "claim.before",
    "claim.after",
    "send.before",
    "send.departing",
    "send.after",
    "outcome.before",
    "outcome.after",
)

_hook: Callable[[str], None] | None = None


def arm(hook: Callable[[str], None] | None) -> None:
    """Call *hook* with the name of each boundary reached; ``None`` disarms."""
    global _hook  # noqa: PLW0603 - one switch for the process, thrown only by the crash tests
    _hook = hook


def reach(name: str) -> None:
    """This boundary has been reached."""
    if _hook is not None:
        _hook(name)
