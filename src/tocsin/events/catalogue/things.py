"""How a table of rows is written: a `Thing` says what its rows are about, so that each row is one line."""

import msgspec

from tocsin.core.severity import Severity
from tocsin.events.catalogue.model import CatalogueRow, Category, Condition, SubjectKey


class Thing(msgspec.Struct, frozen=True, kw_only=True):
    """What rows are about: an invoice, read from ``invoiceid``, called "Invoice 1042" in titles.

    ``called`` is another attribute that names it better than its number (the domain's name).
    """

    category: Category
    kind: str = ""
    keys: tuple[str, ...] = ()
    noun: str = ""
    called: str = ""
    elsewhere: tuple[SubjectKey, ...] = ()

    def row(
        self,
        event_type: str,
        hook: str | None,
        quiet: int,
        says: str = "",
        *,
        keys: tuple[str, ...] = (),
        title: str = "",
        when: Condition | None = None,
        says_when: str = "",
        title_when: str = "",
        becomes: str = "",
        recovers: tuple[str, ...] = (),
        recovers_on: tuple[SubjectKey, ...] = (),
        problem: str = "",
        severity: Severity | None = None,
    ) -> CatalogueRow:
        """One row; *says* completes "Invoice 1042: ..." (without a subject: "Invoice ..."), *title* is a whole template."""
        return CatalogueRow(
            type=event_type,
            hook=hook,
            category=self.category,
            severity=severity or self.category.severity,
            quiet_severity=Severity(quiet),
            title=title or self._title(says),
            problem=problem or event_type,
            kind=self.kind,
            keys=keys or self.keys,
            elsewhere=self.elsewhere,
            when=when,
            title_when=title_when or (self._title(says_when) if says_when else ""),
            becomes=becomes,
            recovers=recovers,
            recovers_on=recovers_on,
        )

    def _title(self, says: str) -> str:
        names = ([self.called] if self.called else []) + ["id"]
        return "|".join([*(f"{self.noun} {{{name}}}: {says}" for name in names), f"{self.noun} {says}"])
