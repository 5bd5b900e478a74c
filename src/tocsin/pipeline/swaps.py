"""Swaps that somebody is asked for: what is asked or answered, the overrides, and word to both, in one transaction."""

from tocsin.audit.model import Who
from tocsin.core.clock import Clock
from tocsin.db.writer import Tx
from tocsin.events.sites import SiteBook
from tocsin.identity.service import TOCSIN
from tocsin.notify import notices
from tocsin.notify.announce import Announcer
from tocsin.notify.contacts import ContactBook
from tocsin.notify.rules import notice_readers
from tocsin.oncall import service, store, watch
from tocsin.oncall.model import ANYBODY, Answer, Speaker, SwapRequest, SwapStatus, Turn

SITE = "main"


class SwapDesk:
    """Used in the writer's transactions."""

    def __init__(self, clock: Clock, announcer: Announcer, contacts: ContactBook, sites: SiteBook) -> None:
        self._clock, self._announcer, self._contacts, self._sites = clock, announcer, contacts, sites

    def ask(self, tx: Tx, who: Who, schedule_id: str, first: Turn, second: Turn, note: str, speaker: Speaker = ANYBODY) -> SwapRequest:
        """Asks for a swap; who is asked hears of it. Raises `NotFound`, `InvalidInput`, `Conflict`, `NotAllowed`."""
        now = self._clock.now()
        made = service.ask_swap(tx, who, schedule_id, first, second, note, now)
        speaker.must_be(made.first, "asks for it")
        self._tell(tx, made, SwapStatus.ASKED, (made.second.user,), now)
        return made

    def answer(self, tx: Tx, who: Who, schedule_id: str, swap_id: str, answer: Answer, speaker: Speaker = ANYBODY) -> SwapRequest:
        """Accepts, refuses or withdraws; both hear of it, or who asked, or who was asked.

        Raises `NotFound`, `InvalidInput`, `Conflict`, `NotAllowed`.
        """
        now = self._clock.now()
        before = store.get_swap(tx.sql, schedule_id, swap_id)
        if answer is Answer.WITHDRAWN:
            speaker.must_be(before.first, "takes it back")
        else:
            speaker.must_be(before.second, "answers it")
        done = service.answer_swap(tx, who, schedule_id, swap_id, answer, now)
        if before.answer is None:
            first, second = done.first.user, done.second.user
            readers = {Answer.ACCEPTED: (first, second), Answer.REFUSED: (first,), Answer.WITHDRAWN: (second,)}[answer]
            self._tell(tx, done, done.status(now), readers, now)
        return done

    def expire(self, tx: Tx) -> int:
        """Tells those who asked and were not answered. It is noted in the same transaction, so that nobody is told twice."""
        now = self._clock.now()
        found = service.expire_swaps(tx, TOCSIN, now)
        for one in found:
            self._tell(tx, one, SwapStatus.EXPIRED, (one.first.user,), now)
        return len(found)

    def _tell(self, tx: Tx, one: SwapRequest, news: SwapStatus, readers: tuple[str, ...], now: int) -> None:
        """Word of a question is worth nothing once it has expired; of what was decided, once both duties have begun.

        That nobody answered is worth knowing until the duty that one keeps is over.
        """
        schedule = store.get_schedule(tx.sql, one.schedule_id)
        names = {person.id: person.name for person in store.people(tx.sql).by_id.values()}
        until = {SwapStatus.ASKED: one.expires_at, SwapStatus.EXPIRED: one.first.ends_at}.get(
            news, max(one.first.starts_at, one.second.starts_at)
        )
        for reader in readers:
            contacts = notice_readers(reader, self._contacts.all)
            if contacts:
                words = watch.swap_words(schedule, one, news, names, reader)
                notice = notices.add(tx, self._sites.get(SITE).id, words.title, words.text, until, now)
                self._announcer.tell(tx, notice, contacts, now)
