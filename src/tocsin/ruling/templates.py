"""Templates of titles and dedup keys: words, and names of fields in braces."""

import re

import msgspec

from tocsin.core.text import cut, one_line
from tocsin.muting.model import ATTRIBUTE, Labels
from tocsin.ruling.model import RULE_FIELDS

MAX_TEMPLATE = 200
MAX_TITLE = 200
_PART = re.compile(r"\{([^{}]*)\}")


class Template(msgspec.Struct, frozen=True):
    """Words and fields in turn: the words before each field, the field, and the words ``after`` the last."""

    pieces: tuple[tuple[str, str], ...]
    after: str


def fault(text: str) -> str | None:
    """What keeps *text* from being a template, in words for who wrote it; None if nothing does."""
    if not text.strip():
        return "must not be empty"
    if len(text) > MAX_TEMPLATE:
        return f"has {len(text)} characters; at most {MAX_TEMPLATE} are taken"
    if not text.isprintable():
        return "must be one line without control characters"
    for name in _PART.findall(text):
        if name not in RULE_FIELDS and not (name.startswith(ATTRIBUTE) and len(name) > len(ATTRIBUTE)):
            return f"{{{name[:40]}}} is none of {', '.join(RULE_FIELDS)} and attributes.NAME. Example: {{host}}: {{attributes.gateway}}"
    rest = _PART.sub("", text)
    return "write a field as {host}, with no other braces" if "{" in rest or "}" in rest else None


def compile_template(text: str) -> Template:
    """*text*, with which nothing is wrong, ready to be filled many times."""
    *pairs, after = _PART.split(text)
    return Template(tuple(zip(pairs[::2], pairs[1::2], strict=True)), after)


def title_of(template: Template, labels: Labels) -> str:
    """One line of at most 200 characters. A field that the event does not have leaves nothing behind."""
    return cut(one_line(_filled(template, labels)), MAX_TITLE)


def key_of(template: Template, labels: Labels) -> str | None:
    """The key; None if the template names fields and the event has none of them: it would be the key of everything."""
    if template.pieces and not any(labels.get(name) for _, name in template.pieces):
        return None
    return _filled(template, labels).replace("\0", "")


def _filled(template: Template, labels: Labels) -> str:
    return "".join([before + labels.get(name) for before, name in template.pieces]) + template.after
