"""The impacts' SQL."""

import msgspec
import sqlalchemy as sa

from tocsin.db import tables
from tocsin.db.writer import Tx
from tocsin.whmcs.model import Impact

_decode = msgspec.json.Decoder(Impact).decode


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
