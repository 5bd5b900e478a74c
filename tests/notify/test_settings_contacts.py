"""Contacts that stand in the settings: they come, go and come back with what is written there."""

import sqlalchemy as sa

from tests.world import World
from tocsin.db.tables import contacts
from tocsin.notify.contacts import follow_settings, read_directory


async def test_contacts_of_the_settings_follow_them_and_are_called_by_what_they_are(world: World) -> None:
    async def follow(*wanted: tuple[str, str]) -> list[tuple[str, str, bool]]:
        await world.write(lambda tx: follow_settings(tx, wanted, world.clock.now()))
        found = world.rows(sa.select(contacts).where(contacts.c.origin == "settings").order_by(contacts.c.kind))
        return [(row.label or row.target, row.kind, row.disabled_at is None) for row in found]

    assert await follow(("ntfy", "whmcs-alerts")) == [("whmcs-alerts", "ntfy", True)]
    assert await follow(("email", "ops@example.com")) == [("ops@example.com", "email", True), ("whmcs-alerts", "ntfy", False)]
    await world.write(lambda tx: tx.sql.execute(sa.update(contacts).values(label="from the settings")))  # as earlier releases called them
    both = (("email", "ops@example.com"), ("ntfy", "whmcs-alerts"))
    assert await follow(*both) == [("ops@example.com", "email", True), ("whmcs-alerts", "ntfy", True)]
    with world.core.database.read() as connection:
        assert sorted(one.target for one in read_directory(connection, world.clock.now()).shared) == ["ops@example.com", "whmcs-alerts"]
