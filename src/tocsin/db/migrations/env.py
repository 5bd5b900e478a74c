"""Alembic's entry: runs the migrations on the connection that `tocsin.db.schema` hands in."""

from alembic import context

from tocsin.db.tables import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, transactional_ddl=True, render_as_batch=False)
# The connection is in autocommit mode (see db/engine.py), so the transaction is opened and closed here.
connection.exec_driver_sql("BEGIN")
try:
    context.run_migrations()
    connection.exec_driver_sql("DELETE FROM settings WHERE name = 'schema_oldest'")
    connection.execute(metadata.tables["settings"].insert().values(name="schema_oldest", value=context.config.attributes["oldest"]))
except BaseException:
    connection.exec_driver_sql("ROLLBACK")
    raise
connection.exec_driver_sql("COMMIT")
