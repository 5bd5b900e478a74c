"""The SQL of impacts, and of how WHMCS was last seen."""

import msgspec
import sqlalchemy as sa

from tocsin.db import tables
from tocsin.db.writer import Tx
from tocsin.whmcs.model import Connection, Impact, Look, Standing

_decode = msgspec.json.Decoder(Impact).decode
_standing = msgspec.json.Decoder(dict[str, Standing]).decode
_ROUND = "round"  # the row that says when a round began


def replace(tx: Tx, site_id: int, impacts: list[Impact]) -> None:
    """Puts what was found last in the place of all that was known of a site."""
    table = tables.impacts
    tx.sql.execute(table.delete().where(table.c.site_id == site_id))
    if impacts:
        tx.sql.execute(
            table.insert(),
            [{"site_id": site_id, "kind": one.kind, "key": one.key, "figures": msgspec.json.encode(one).decode()} for one in impacts],
        )


def load(connection: sa.Connection) -> dict[int, list[Impact]]:
    """All impacts, by site."""
    found: dict[int, list[Impact]] = {}
    for row in connection.execute(sa.select(tables.impacts.c.site_id, tables.impacts.c.figures)):
        found.setdefault(row.site_id, []).append(_decode(row.figures))
    return found


def looks(connection: sa.Connection, site_id: int) -> dict[str, Look]:
    """How each action went last at a site, by its name."""
    table = tables.whmcs_looks
    found = connection.execute(sa.select(table).where(table.c.site_id == site_id))
    return {
        row.action: Look(
            row.action, row.asked_at, row.answered_at, row.took_ms, row.fault, row.cure, row.facts, _standing(row.standing or "{}")
        )
        for row in found
    }


def keep_look(tx: Tx, site_id: int, look: Look) -> None:
    """Puts a look in the place of the one before."""
    table = tables.whmcs_looks
    here = sa.and_(table.c.site_id == site_id, table.c.action == look.action)
    values = {
        "asked_at": look.asked_at,
        "answered_at": look.answered_at,
        "took_ms": look.took,
        "fault": look.fault,
        "cure": look.cure,
        "facts": look.facts,
        "standing": msgspec.json.encode(look.standing).decode(),
    }
    if tx.sql.execute(table.update().where(here).values(**values)).rowcount == 0:
        tx.sql.execute(table.insert().values(site_id=site_id, action=look.action, **values))


def claim_round(tx: Tx, site_id: int, now: int, gap: int) -> bool:
    """Whether this process may look now: nobody has begun to within *gap* milliseconds. Of several processes one may."""
    table = tables.whmcs_looks
    here = sa.and_(table.c.site_id == site_id, table.c.action == _ROUND)
    insert = "INSERT INTO whmcs_looks(site_id, action, asked_at) VALUES ({0}, {0}, {0}) ON CONFLICT DO NOTHING"
    tx.driver.execute(insert.format("?" if tx.is_sqlite else "%s"), (site_id, _ROUND, 0))
    late_enough = sa.or_(table.c.asked_at <= now - gap, table.c.asked_at > now)  # a clock that was set back must not stop it
    return tx.sql.execute(table.update().where(here, late_enough).values(asked_at=now)).rowcount == 1


def has_bridge(connection: sa.Connection, site_id: int, since: int) -> bool:
    """Whether somebody who numbers what he sends, as the bridge does, has reported for a site since then."""
    c = tables.sequences.c
    query = sa.select(c.source).where(c.site_id == site_id, c.last_seen_at >= since).limit(1)
    return connection.execute(query).first() is not None


def connections(connection: sa.Connection) -> list[Connection]:
    """How WHMCS of each site is reached for which somebody has said it."""
    c = tables.whmcs_connections.c
    return [Connection(*row) for row in connection.execute(sa.select(c.site_id, c.url, c.identifier, c.secret).order_by(c.site_id))]


def connect(tx: Tx, wanted: Connection, now: int) -> None:
    """Puts a connection in the place of the site's own one before."""
    disconnect(tx, wanted.site_id)
    values = {"url": wanted.url, "identifier": wanted.identifier, "secret": wanted.secret, "changed_at": now}
    tx.sql.execute(tables.whmcs_connections.insert().values(site_id=wanted.site_id, **values))


def disconnect(tx: Tx, site_id: int) -> bool:
    """Takes a site's own connection away; False: it had none."""
    table = tables.whmcs_connections
    return tx.sql.execute(table.delete().where(table.c.site_id == site_id)).rowcount == 1
