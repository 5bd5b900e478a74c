"""What a word from an agent means, and what its silence. A host is known by its name; the agent's own id shows that a name has changed."""

import msgspec
from msgspec.structs import replace

from tocsin.core.clock import SECOND
from tocsin.core.errors import InvalidInput, NotAllowed
from tocsin.core.text import cut, one_line
from tocsin.core.times import in_words, to_text
from tocsin.hosts.model import CLOCK_GOOD, CLOCK_OFF, LONGEST_PAUSE, MAX_CARD, Card, Decision, Host, News, Token, Told

HEADER = "X-Tocsin-Agent"
_decode = msgspec.json.Decoder(Card).decode


def read_card(text: str | None) -> Card | None:
    """The card of an agent; None: it is none who sends. Raises `InvalidInput`."""
    if text is None:
        return None
    if len(text) > MAX_CARD:
        raise InvalidInput.of(HEADER, f"has {len(text)} characters; at most {MAX_CARD} are taken")
    try:
        card = _decode(text.encode())
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
        raise InvalidInput.of(HEADER, f"cannot be read: {cut(str(error), 200)}") from None
    host = one_line(card.host)
    words = [card.id, card.version, host, *card.facts, *(value for value in card.facts.values() if isinstance(value, str))]
    if not host or not all(word.isprintable() and len(word) <= 253 for word in words):
        raise InvalidInput.of(HEADER, "must hold a host name and short texts in one line each")
    return replace(card, host=host)


def silent_from(last_seen_at: int, interval: int) -> int:
    """When a silence is told: nothing came for two intervals."""
    return last_seen_at + 2 * interval


def heard(known: Host | None, new_id: str, site_id: int, card: Card, now: int) -> Decision:
    """What follows from a word of the agent of a host."""
    interval = round(card.interval_seconds * SECOND)
    facts = msgspec.json.encode(card.facts).decode()
    before = known or Host(new_id, site_id, card.host, card.id, "", interval, "{}", 0, now, now)
    said = {"agent_id": card.id, "version": card.version, "interval": interval, "facts": facts}
    host = replace(before, **said, clock_off=card.at - now, last_seen_at=now)
    if host.paused_at is not None:
        return Decision(host)
    news: list[News] = []
    if host.silent_at is not None:
        title = f"{host.name} reports again after {in_words(now - before.last_seen_at)}"
        news.append(News(Told.SILENT, "recovery", title))
    host = replace(host, silent_at=None, due_at=silent_from(now, interval))
    clock = _clock(host, now)
    return Decision(clock.host, (*news, *clock.news))


def _clock(host: Host, now: int) -> Decision:
    off = abs(host.clock_off)
    if host.clock_told_at is None and off >= CLOCK_OFF:
        where = "ahead" if host.clock_off > 0 else "behind"
        title = f"The clock of {host.name} is {in_words(off)} {where}"
        message = "What it measures is stored by our clock. Have it set its own: `timedatectl set-ntp true`."
        return Decision(replace(host, clock_told_at=now), (News(Told.CLOCK_OFF, "problem", title, message),))
    if host.clock_told_at is not None and off < CLOCK_GOOD:
        title = f"The clock of {host.name} is right again"
        return Decision(replace(host, clock_told_at=None), (News(Told.CLOCK_OFF, "recovery", title),))
    return Decision(host)


def on_time(host: Host, now: int, goes_on_as: str | None) -> Decision:
    """What follows once ``due_at`` has come. *goes_on_as*: another name under which the same agent reports since."""
    if host.paused_at is not None or host.silent_at is not None or host.due_at is None or host.due_at > now:
        return Decision(host)
    if goes_on_as is not None:
        title = f"{host.name} is called {goes_on_as} now"
        return Decision(None, (*_over(host, f"{title}: it is over"), News(Told.RENAMED, "info", title)))
    title = f"{host.name} is silent"
    message = (
        f"Its agent reported every {in_words(host.interval)}, the last time at {to_text(host.last_seen_at)}. The server may be down "
        "or off the network, or the agent does not run: `systemctl status tocsin-agent`."
    )
    return Decision(replace(host, silent_at=now, due_at=None), (News(Told.SILENT, "problem", title, message),))


def after_absence(host: Host, now: int, away: int) -> Host:
    """Nobody was there to hear it for *away* ms: it gets the time that its agent takes to come back."""
    if host.due_at is None:
        return host
    return replace(host, due_at=max(host.due_at, silent_from(now, host.interval) + min(away, LONGEST_PAUSE)))


def pause(host: Host, now: int) -> Decision:
    """Nothing is told of it until `resume`."""
    if host.paused_at is not None:
        return Decision(host)
    quiet = replace(host, paused_at=now, due_at=None, silent_at=None, clock_told_at=None)
    return Decision(quiet, _over(host, f"{host.name} was paused"))


def resume(host: Host, now: int) -> Decision:
    """It is expected again, from now on."""
    if host.paused_at is None:
        return Decision(host)
    return Decision(replace(host, paused_at=None, due_at=silent_from(now, host.interval)))


def removed(host: Host) -> Decision:
    """What is told of it is over."""
    return Decision(None, _over(host, f"{host.name} was removed"))


def _over(host: Host, title: str) -> tuple[News, ...]:
    standing = ((Told.SILENT, host.silent_at), (Told.CLOCK_OFF, host.clock_told_at))
    return tuple(News(told, "recovery", title) for told, since in standing if since is not None)


def no_such_token() -> NotAllowed:
    """What somebody is told whose token is none of ours."""
    return NotAllowed("this is no token for a new server, or it is cut or mistyped; make one with `tocsin hosts token`")


def check_token(token: Token | None, now: int) -> Token:
    """The token, if a key may be fetched with it. Raises `NotAllowed` with the reason."""
    if token is None:
        raise no_such_token()
    if token.used_at is not None:
        raise NotAllowed(f"this token was used at {to_text(token.used_at)} by {token.used_by}; each works once")
    if now >= token.expires_at:
        raise NotAllowed(f"this token ran out at {to_text(token.expires_at)}; make another with `tocsin hosts token`")
    return token
