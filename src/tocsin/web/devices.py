"""What a browser says of itself, in a few words."""

_PROGRAMS = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox", "Firefox"),
    ("FxiOS", "Firefox"),
    ("CriOS", "Chrome"),
    ("Chrome", "Chrome"),
    ("Safari", "Safari"),
    ("curl", "curl"),
)
_SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS X", "Mac"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)


def device(agent: str) -> str:
    """``Firefox on Linux``; what cannot be told is a program."""
    program = next((word for sign, word in _PROGRAMS if sign in agent), None)
    system = next((word for sign, word in _SYSTEMS if sign in agent), None)
    if program and system:
        return f"{program} on {system}"
    return program or system or "A program"
