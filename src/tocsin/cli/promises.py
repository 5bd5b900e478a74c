"""What must be true of a sound database, as one visible list. Everything here only reads, in one snapshot."""

from dataclasses import dataclass

import sqlalchemy as sa

from tocsin.core.text import counted
from tocsin.db import tables

MAX_LINES = 20  # of what SQLite reports about a damaged file


@dataclass(frozen=True)
class Promise:
    """*broken* counts what should not be there; *sentence* says what it is, after the number."""

    sentence: str
    broken: str


PROMISES: tuple[Promise, ...] = (
    Promise(
        "dedup keys with more than one unresolved alert",
        "SELECT count(*) FROM (SELECT 1 FROM alerts WHERE status <> 'resolved' GROUP BY site_id, dedup_key HAVING count(*) > 1) AS t",
    ),
    Promise(
        "messages that exist twice (same alert, generation, kind, step and contact)",
        "SELECT count(*) FROM (SELECT 1 FROM outbox GROUP BY alert_number, generation, kind, step, contact_id HAVING count(*) > 1) AS t",
    ),
    Promise("events that exist twice", "SELECT count(*) FROM (SELECT 1 FROM events GROUP BY id HAVING count(*) > 1) AS t"),
    Promise(
        "messages about an alert that does not exist",
        "SELECT count(*) FROM outbox WHERE alert_number > 0"
        " AND NOT EXISTS (SELECT 1 FROM alerts WHERE alerts.number = outbox.alert_number)",
    ),
    Promise(
        "messages to a contact that does not exist",
        "SELECT count(*) FROM outbox WHERE status IN ('pending', 'sending')"
        " AND NOT EXISTS (SELECT 1 FROM contacts WHERE contacts.id = outbox.contact_id)",
    ),
    Promise(
        "waiting messages without a moment to be sent at",
        "SELECT count(*) FROM outbox WHERE status = 'pending' AND next_attempt_at IS NULL",
    ),
    Promise(
        "messages under way that no process has leased and no digest carries",
        "SELECT count(*) FROM outbox WHERE status = 'sending' AND digest_id IS NULL AND (lease_node IS NULL OR lease_until IS NULL)",
    ),
    Promise(
        "messages whose digest does not exist",
        "SELECT count(*) FROM outbox AS m"
        " WHERE m.digest_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM outbox AS d WHERE d.id = m.digest_id)",
    ),
    Promise(
        "messages that wait for a digest that has ended",
        "SELECT count(*) FROM outbox AS m WHERE m.status = 'sending' AND EXISTS"
        " (SELECT 1 FROM outbox AS d WHERE d.id = m.digest_id AND d.status NOT IN ('pending', 'sending'))",
    ),
    Promise(
        "attempts of a message that does not exist",
        "SELECT count(*) FROM attempts WHERE NOT EXISTS (SELECT 1 FROM outbox WHERE outbox.id = attempts.outbox_id)",
    ),
    Promise(
        "sent messages without an attempt",
        "SELECT count(*) FROM outbox WHERE status = 'sent' AND digest_id IS NULL"
        " AND NOT EXISTS (SELECT 1 FROM attempts WHERE attempts.outbox_id = outbox.id)",
    ),
    Promise(
        "history lines of an alert that does not exist",
        "SELECT count(*) FROM alert_history WHERE NOT EXISTS (SELECT 1 FROM alerts WHERE alerts.number = alert_history.alert_number)",
    ),
    Promise(
        "alerts without any history",
        "SELECT count(*) FROM alerts WHERE NOT EXISTS (SELECT 1 FROM alert_history WHERE alert_history.alert_number = alerts.number)",
    ),
    Promise(
        "events of an alert that does not exist",
        "SELECT count(*) FROM events WHERE alert_number IS NOT NULL"
        " AND NOT EXISTS (SELECT 1 FROM alerts WHERE alerts.number = events.alert_number)",
    ),
    Promise(
        "alerts in a state that there is not",
        "SELECT count(*) FROM alerts WHERE status NOT IN ('open', 'acknowledged', 'snoozed', 'resolved')",
    ),
    Promise(
        "snoozed alerts that nothing will wake",
        "SELECT count(*) FROM alerts WHERE status = 'snoozed' AND due_at IS NULL",
    ),
    Promise(
        "alerts of a site that does not exist",
        "SELECT count(*) FROM alerts WHERE NOT EXISTS (SELECT 1 FROM sites WHERE sites.id = alerts.site_id)",
    ),
)


def broken(connection: sa.Connection) -> list[str]:
    """The promises that are not kept, with how often."""
    counts = [(promise, int(connection.exec_driver_sql(promise.broken).scalar_one())) for promise in PROMISES]
    return [f"{count} {promise.sentence}" for promise, count in counts if count]


def missing(connection: sa.Connection) -> list[str]:
    """Tables, columns and promise-keeping indexes that the schema names and the database does not have."""
    inspector = sa.inspect(connection)
    known = set(inspector.get_table_names())
    faults = [f"the table {name} is missing" for name in tables.metadata.tables if name not in known]
    for table in tables.metadata.sorted_tables:
        if table.name in known:
            columns = {column["name"] for column in inspector.get_columns(table.name)}
            faults += [f"the column {table.name}.{c.name} is missing" for c in table.columns if c.name not in columns]
            indexes = {index["name"] for index in inspector.get_indexes(table.name)}
            faults += [f"the index {i.name} is missing" for i in table.indexes if i.name not in indexes]
    return faults


def damage(connection: sa.Connection) -> list[str]:
    """What the database says about itself: pages and indexes that do not fit together."""
    if connection.dialect.name == "sqlite":
        lines = [str(row[0]) for row in connection.exec_driver_sql("PRAGMA quick_check").fetchmany(MAX_LINES)]
        orphans = len(connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall())
        told = [f"the file is damaged: {line}" for line in lines if line != "ok"]
        return told + ([f"{counted(orphans, 'row')} that point to nothing"] if orphans else [])
    sql = "SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE NOT i.indisvalid OR NOT i.indisready"
    return [f"the index {row[0]} is not valid: REINDEX it" for row in connection.exec_driver_sql(sql)]
