"""What PostgreSQL's errors mean to us. Loaded when PostgreSQL is used: its driver takes nine megabytes."""

import psycopg

FAULTS: tuple[type[BaseException], ...] = (
    psycopg.OperationalError,
    psycopg.InternalError,  # a server that was made read-only, and its own mistakes
    psycopg.errors.UndefinedTable,
    psycopg.errors.InsufficientPrivilege,
)
# What a pooler between us and PostgreSQL makes of prepared statements.
STATEMENT_LOST: tuple[type[BaseException], ...] = (psycopg.errors.InvalidSqlStatementName, psycopg.errors.DuplicatePreparedStatement)
# Another node was first.
CONFLICTS: tuple[type[BaseException], ...] = (
    psycopg.errors.UniqueViolation,
    psycopg.errors.DeadlockDetected,
    psycopg.errors.SerializationFailure,
)
