"""Before a silence ends that still keeps something quiet, its maker is told: in time to mend it, or to make it longer."""

from collections.abc import Sequence

import msgspec
import sqlalchemy as sa

from tocsin.core.clock import MINUTE, Clock
from tocsin.core.text import counted, cut
from tocsin.core.times import in_words, to_text
from tocsin.db import tables
from tocsin.db.engine import Database
from tocsin.db.writer import Tx
from tocsin.events.sites import SiteBook
from tocsin.muting import preview, rules, store
from tocsin.muting.model import Silence
from tocsin.notify import notices
from tocsin.notify.announce import Announcer
from tocsin.notify.contacts import ContactBook
from tocsin.notify.model import Contact
from tocsin.notify.rules import notice_readers


class Due(msgspec.Struct, frozen=True):
    """A silence that is about to end, and how many alerts it keeps quiet."""

    silence: Silence
    mutes: int


class Reminders:
    """Looks for silences that are about to end. `due` reads, `remind` writes; doing either twice tells nobody twice."""

    def __init__(self, clock: Clock, sites: SiteBook, contacts: ContactBook, announcer: Announcer) -> None:
        self._clock, self._sites, self._contacts, self._announcer = clock, sites, contacts, announcer

    def due(self, database: Database) -> list[Due]:
        """The silences whose makers are to be told now."""
        now = self._clock.now()
        scope = preview.Scope(None, self._sites.slug_of, self._sites.id_of)
        with database.read() as connection:
            ending = [silence for silence in store.ending(connection, now, rules.LONGEST_NOTICE) if rules.is_to_be_reminded(silence, now)]
            found = [Due(silence, preview.muted_now(connection, silence.matchers, scope)) for silence in ending]
        return [one for one in found if one.mutes]

    def remind(self, tx: Tx, found: Sequence[Due]) -> None:
        """Tells the makers; a silence that has changed meanwhile is left for the next look."""
        now = self._clock.now()
        for one in found:
            silence = store.get(tx.sql, Silence, one.silence.id, lock=True)
            if silence != one.silence:
                continue
            store.replace(tx, msgspec.structs.replace(silence, reminded_at=now), ("reminded_at",))
            left = silence.ends_at - now
            title = cut(f'The silence "{silence.comment}" ends in {in_words(left + MINUTE - 1)}', 200)
            text = (
                f"It still keeps {counted(one.mutes, 'alert')} quiet, which will page at {to_text(silence.ends_at)}."
                f" Mend what is wrong, or make the silence longer. Its id is {silence.id}."
            )
            notice = notices.add(tx, self._site_of(silence), title, text, silence.ends_at, now)
            self._announcer.tell(tx, notice, self._readers(tx, silence.created_by), now)

    def _readers(self, tx: Tx, maker: str) -> tuple[Contact, ...]:
        """The contacts of *maker*; if it is a program, or cannot be reached, those that belong to nobody in particular."""
        users = tables.users
        user_id = tx.sql.execute(sa.select(users.c.id).where(users.c.email == maker)).scalar()
        own = () if user_id is None else notice_readers(user_id, self._contacts.all)
        return own or notice_readers(None, self._contacts.all)

    def _site_of(self, silence: Silence) -> int:
        named = self._sites.find(rules.pinned_site(silence.matchers) or "main") or self._sites.get("main")
        return named.id
