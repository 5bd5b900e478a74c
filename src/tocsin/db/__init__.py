"""The database: one page of tables, one door to write, separate readers. SQLite and PostgreSQL alike."""
