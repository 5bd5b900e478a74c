"""Which regular expressions a site may give: those that cannot stall the intake on any line of text.

Python's engine has no time limit, so the cost is bounded before: short pattern, short text, no repeated group
(the cause of exponential time), no backreference, and a small product of all repeats (the power in polynomial time).
"""

import re

PATTERN_LIMIT = 300
TEXT_LIMIT = 300

# Steps that a hopeless search may take in theory; a real one takes a small part, a quarter of a second at the very worst.
_STEP_LIMIT = 30_000_000

# One token a match: an escape, a character class, the head of a group, or what repeats.
_TOKEN = re.compile(
    r"(?P<escape>\\.)|(?P<set>\[\^?\]?(?:\\.|[^\]\\])*\])|(?P<head>\((?:\?(?:P<\w+>|P=\w+|[:=!>]|<[=!]|[a-zA-Z-]+[:)]))?)"
    r"|(?P<repeat>[*+?]|\{\d*,?\d*\})|(?P<close>\))|(?P<either>\|)|(?P<other>.)",
    re.DOTALL,
)
_BACKREFERENCE = re.compile(r"\\[1-9]|\(\?P=|\(\?\(")


def compile_pattern(text: str) -> re.Pattern[str]:
    """*text* as an expression that ignores case; it must be one that `why_unsafe` has nothing against."""
    return re.compile(text, re.IGNORECASE)


def why_unsafe(text: str) -> str | None:
    """What speaks against *text* as a pattern, in words for the person who wrote it; None when it may be used."""
    if not text or len(text) > PATTERN_LIMIT:
        return f"a pattern has 1 to {PATTERN_LIMIT} characters"
    if _BACKREFERENCE.search(text):
        return "a pattern cannot refer back to one of its groups"
    try:
        compile_pattern(text)
    except (re.error, OverflowError, RecursionError) as error:
        return f"not a regular expression: {error}"
    return _why_slow(text)


def _why_slow(text: str) -> str | None:
    """Alternatives outside of groups add up, all else multiplies."""
    total, steps, depth, before = 0, TEXT_LIMIT, 0, ""
    for token in _TOKEN.finditer(text):
        kind = token.lastgroup or ""
        depth += (kind == "head" and not token[0].endswith(")")) - (kind == "close")
        if kind == "repeat":
            if before == "close" and token[0] != "?":
                return "a group cannot be repeated: (a|b)+ can take for ever on some texts"
            steps *= _width(token[0])
        elif kind == "either" and depth == 0:
            total, steps = total + steps, TEXT_LIMIT
        before = kind
    return None if total + steps <= _STEP_LIMIT else "too many repeats: write .{0,20} where .* is not needed"


def _width(repeat: str) -> int:
    """How many ways a repeat can match: ``*`` any length, ``?`` two, ``{0,20}`` twenty-one."""
    if repeat == "?":
        return 2
    low, comma, high = repeat.strip("{}").partition(",")
    if not comma and low.isdigit():
        return 1
    if not high.isdigit():
        return TEXT_LIMIT
    return min(int(high) - int(low or 0) + 1, TEXT_LIMIT)
