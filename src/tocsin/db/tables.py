"""Every table, on one page. Times are whole milliseconds UTC, ids are UUIDv7 text, JSON is text.

The constraints that keep promises stand here, not in code: one unresolved alert per dedup key
(`alerts_unresolved`), one message per decision and contact (`outbox_identity`), one event per id (`events_id`).
"""

import sqlalchemy as sa

metadata = sa.MetaData()

# PostgreSQL counts here; SQLite, with its single writer, in the row `last_alert_number` of `settings`.
alert_numbers = sa.Sequence("alert_numbers", metadata=metadata)

# SQLite needs INTEGER (not BIGINT) for a key that it numbers itself.
Number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Millis = sa.BigInteger()

sites = sa.Table(
    "sites",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("slug", sa.Text, nullable=False, unique=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("created_at", Millis, nullable=False),
    sa.Column("default_policy", sa.Text),  # empty: the built-in one
)

users = sa.Table(
    "users",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("email", sa.Text, nullable=False, unique=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("password_hash", sa.Text),
    sa.Column("time_zone", sa.Text, nullable=False, server_default="UTC"),
    sa.Column("created_at", Millis, nullable=False),
    sa.Column("disabled_at", Millis),
    sa.Column("every_site", sa.Boolean, nullable=False, server_default=sa.true()),  # else only those in user_sites
    sa.Column("theme", sa.Text, nullable=False, server_default="system"),
    sa.Column("contrast", sa.Text, nullable=False, server_default="system"),
    sa.Column("locale", sa.Text, nullable=False, server_default="en"),
    sa.Column("password_changed_at", Millis),
    sa.Column("totp_secret", sa.Text),
    sa.Column("totp_since", Millis),  # empty: the secret was shown and no code has proved it yet
    sa.Column("totp_step", Millis),  # the time step of the last code that was taken: none is taken twice
    sa.Column("last_login_at", Millis),
)

user_sites = sa.Table(
    "user_sites",
    metadata,
    sa.Column("user_id", sa.Text, sa.ForeignKey("users.id"), primary_key=True),
    sa.Column("site_id", sa.Integer, sa.ForeignKey("sites.id"), primary_key=True),
)

recovery_codes = sa.Table(
    "recovery_codes",
    metadata,
    sa.Column("user_id", sa.Text, sa.ForeignKey("users.id"), primary_key=True),
    sa.Column("digest", sa.Text, primary_key=True),
)

sessions = sa.Table(
    "sessions",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("digest", sa.Text, nullable=False, unique=True),
    sa.Column("user_id", sa.Text, sa.ForeignKey("users.id"), nullable=False),
    sa.Column("created_at", Millis, nullable=False),
    sa.Column("seen_at", Millis, nullable=False),
    sa.Column("ends_at", Millis, nullable=False),
    sa.Column("address", sa.Text, nullable=False),
    sa.Column("agent", sa.Text, nullable=False),
    sa.Index("sessions_user", "user_id"),
)

# Links that work once: an invitation, a new password, the first administrator (who is no user yet).
passes = sa.Table(
    "passes",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("digest", sa.Text, nullable=False, unique=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("user_id", sa.Text, sa.ForeignKey("users.id")),
    sa.Column("created_at", Millis, nullable=False),
    sa.Column("expires_at", Millis, nullable=False),
    sa.Column("used_at", Millis),
    sa.Index("passes_user", "user_id"),
)

# Wrong logins by the digest of an address that was typed in, whether there is such a user or not.
login_failures = sa.Table(
    "login_failures",
    metadata,
    sa.Column("account", sa.Text, primary_key=True),
    sa.Column("failures", sa.Integer, nullable=False),
    sa.Column("last_at", Millis, nullable=False),
    sa.Index("login_failures_last_at", "last_at"),
)

# Who did what: appended only. Each entry holds the digest of the one before, see docs/explanation/audit.md.
audit = sa.Table(
    "audit",
    metadata,
    sa.Column("number", Number, primary_key=True, autoincrement=False),  # without gaps: a missing one is seen
    sa.Column("at", Millis, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("address", sa.Text),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("object", sa.Text, nullable=False),
    sa.Column("site_id", sa.Integer),
    sa.Column("before", sa.Text),
    sa.Column("after", sa.Text),
    sa.Column("previous", sa.Text, nullable=False),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Index("audit_at", "at"),
    sa.Index("audit_object", "object"),
)

api_keys = sa.Table(
    "api_keys",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("digest", sa.Text, nullable=False, unique=True),
    sa.Column("scopes", sa.Text, nullable=False),
    sa.Column("site_id", sa.Integer, sa.ForeignKey("sites.id")),
    sa.Column("created_at", Millis, nullable=False),
    sa.Column("expires_at", Millis),
    sa.Column("revoked_at", Millis),
    sa.Column("last_used_at", Millis),
)

contacts = sa.Table(
    "contacts",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("user_id", sa.Text, sa.ForeignKey("users.id")),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("target", sa.Text, nullable=False),
    sa.Column("secret", sa.Text),  # the address itself where whoever knows it can write there; never shown or logged
    sa.Column("label", sa.Text, nullable=False, server_default=""),
    sa.Column("origin", sa.Text, nullable=False),  # settings: follows the environment; user: made by a person; channel: a team's
    sa.Column("created_at", Millis, nullable=False),
    sa.Column("verified_at", Millis),
    sa.Column("disabled_at", Millis),
    sa.Column("stopped_at", Millis),  # since when its owner wants no more texts, by answering STOP; START ends it
    sa.Column("place", sa.Integer, nullable=False, server_default="0"),  # among the person's own: the lowest first, then the oldest
)

# Who is on call. People are named by id without a foreign key: a schedule outlives them, and reads as if their turns were empty.
schedules = sa.Table(
    "schedules",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("time_zone", sa.Text, nullable=False),
    sa.Column("layers", sa.Text, nullable=False),  # JSON, as the API shows them
    sa.Column("announce_gaps", sa.Boolean, nullable=False),
    sa.Column("announce_hand_offs", sa.Boolean, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("created_at", Millis, nullable=False),
    sa.Column("updated_at", Millis, nullable=False),
)

overrides = sa.Table(
    "overrides",
    metadata,
    sa.Column("number", Number, primary_key=True, autoincrement=True),  # of two, the one with the higher number wins
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("schedule_id", sa.Text, sa.ForeignKey("schedules.id"), nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("user_id", sa.Text),
    sa.Column("replaces_id", sa.Text),
    sa.Column("starts_at", Millis, nullable=False),
    sa.Column("ends_at", Millis, nullable=False),
    sa.Column("created_at", Millis, nullable=False),
    sa.Column("created_by", sa.Text, nullable=False),
    sa.Index("overrides_ends_at", "schedule_id", "ends_at"),
)

# Swaps that somebody was asked for. Those that nobody answered by `expires_at` have come to nothing.
swaps = sa.Table(
    "swaps",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("schedule_id", sa.Text, sa.ForeignKey("schedules.id"), nullable=False),
    sa.Column("first_user", sa.Text, nullable=False),
    sa.Column("first_starts_at", Millis, nullable=False),
    sa.Column("first_ends_at", Millis, nullable=False),
    sa.Column("second_user", sa.Text, nullable=False),
    sa.Column("second_starts_at", Millis, nullable=False),
    sa.Column("second_ends_at", Millis, nullable=False),
    sa.Column("note", sa.Text, nullable=False),
    sa.Column("answer", sa.Text),
    sa.Column("created_at", Millis, nullable=False),
    sa.Column("created_by", sa.Text, nullable=False),
    sa.Column("expires_at", Millis, nullable=False),
    sa.Column("answered_at", Millis),
    sa.Column("answered_by", sa.Text),
    sa.Index("swaps_schedule", "schedule_id", "id"),
    sa.Index("swaps_waiting", "expires_at", sqlite_where=sa.text("answer IS NULL"), postgresql_where=sa.text("answer IS NULL")),
)

teams = sa.Table(
    "teams",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("created_at", Millis, nullable=False),
    sa.Column("updated_at", Millis, nullable=False),
)

team_members = sa.Table(
    "team_members",
    metadata,
    sa.Column("team_id", sa.Text, sa.ForeignKey("teams.id"), primary_key=True),
    sa.Column("user_id", sa.Text, primary_key=True),
    sa.Column("place", sa.Integer, nullable=False),
)

calendar_feeds = sa.Table(
    "calendar_feeds",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("digest", sa.Text, nullable=False, unique=True),  # of the token in the address, which is stored nowhere
    sa.Column("schedule_id", sa.Text, sa.ForeignKey("schedules.id")),
    sa.Column("user_id", sa.Text),
    sa.Column("created_at", Millis, nullable=False),
    sa.Column("created_by", sa.Text, nullable=False),
    sa.Column("revoked_at", Millis),
    sa.Column("last_used_at", Millis),
)

# Who was on duty when the engine last looked: whoever is and is not here has just come on, and is told so.
on_duty = sa.Table(
    "on_duty",
    metadata,
    sa.Column("schedule_id", sa.Text, primary_key=True),
    sa.Column("user_id", sa.Text, primary_key=True),
    sa.Column("since", Millis, nullable=False),
)

# The gaps that were announced and are not filled or over.
oncall_gaps = sa.Table(
    "oncall_gaps",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("schedule_id", sa.Text, nullable=False),
    sa.Column("starts_at", Millis, nullable=False),
    sa.Column("ends_at", Millis),  # null: no end in sight
    sa.Column("began", sa.Boolean, nullable=False, server_default=sa.false()),
)

# Who is soon on call with too few verified contacts, and is told of. One alert for each.
oncall_unready = sa.Table(
    "oncall_unready",
    metadata,
    sa.Column("user_id", sa.Text, primary_key=True),
    sa.Column("since", Millis, nullable=False),
    sa.Column("contacts", sa.Integer, nullable=False),  # how many they had when it was last told
)

# A code that was sent to a contact and has not come back yet. The code itself is not kept.
contact_codes = sa.Table(
    "contact_codes",
    metadata,
    sa.Column("contact_id", sa.Text, primary_key=True),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("sent_at", Millis, nullable=False),
    sa.Column("expires_at", Millis, nullable=False),
    sa.Column("tries_left", sa.Integer, nullable=False),
    sa.Column("sends", sa.Integer, nullable=False),  # within the hour that began at `counted_from`
    sa.Column("counted_from", Millis, nullable=False),
)

# How each person wants to be told; who has no row is told as the severity says.
person_rules = sa.Table(
    "person_rules",
    metadata,
    sa.Column("user_id", sa.Text, primary_key=True),
    sa.Column("rules", sa.Text, nullable=False),
    sa.Column("quiet_hours", sa.Text),
    sa.Column("updated_at", Millis, nullable=False),
)

policies = sa.Table(
    "policies",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("created_at", Millis, nullable=False),
    sa.Column("updated_at", Millis, nullable=False),
    sa.Column("deleted_at", Millis),
    sa.Index(
        "policies_name", "name", unique=True, sqlite_where=sa.text("deleted_at IS NULL"), postgresql_where=sa.text("deleted_at IS NULL")
    ),
)

# What each version of a policy said. Never changed: alerts that were opened with it keep to it.
policy_versions = sa.Table(
    "policy_versions",
    metadata,
    sa.Column("policy_id", sa.Text, primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("definition", sa.Text, nullable=False),
    sa.Column("created_at", Millis, nullable=False),
    sa.Column("created_by", sa.Text, nullable=False),
)

# Event rules in their order; what each version of them said is never changed.
rules = sa.Table(
    "rules",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("place", sa.Integer, nullable=False),  # 0 is asked first; of one that was removed: where it was
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("created_at", Millis, nullable=False),
    sa.Column("updated_at", Millis, nullable=False),
    sa.Column("deleted_at", Millis),
)

rule_versions = sa.Table(
    "rule_versions",
    metadata,
    sa.Column("rule_id", sa.Text, primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("definition", sa.Text, nullable=False),
    sa.Column("created_at", Millis, nullable=False),
    sa.Column("created_by", sa.Text, nullable=False),
)

catalogue = sa.Table(
    "catalogue",
    metadata,
    sa.Column("site_id", sa.Integer, sa.ForeignKey("sites.id"), primary_key=True),
    sa.Column("type", sa.Text, primary_key=True),
    sa.Column("override", sa.Text, nullable=False),
)

activity_patterns = sa.Table(
    "activity_patterns",
    metadata,
    sa.Column("site_id", sa.Integer, sa.ForeignKey("sites.id"), primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("pattern", sa.Text, nullable=False),
    sa.Column("type", sa.Text, nullable=False),
)

thresholds = sa.Table(
    "thresholds",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("site_id", sa.Integer),  # empty: every site, as with the host
    sa.Column("host", sa.Text),
    sa.Column("metric", sa.Text, nullable=False),
    sa.Column("labels", sa.Text, nullable=False),
    sa.Column("direction", sa.Text, nullable=False),
    sa.Column("warning", sa.Double),
    sa.Column("critical", sa.Double),
    sa.Column("clear", sa.Double),
    sa.Column("lasts_ms", Millis, nullable=False),
    sa.Column("missing_ms", Millis),
    sa.Column("enabled", sa.Boolean, nullable=False),
    sa.Column("created_by", sa.Text, nullable=False),
    sa.Column("created_at", Millis, nullable=False),
    sa.Column("updated_at", Millis, nullable=False),
)

# How WHMCS of a site is reached; that of the first site may be in the settings instead.
whmcs_connections = sa.Table(
    "whmcs_connections",
    metadata,
    sa.Column("site_id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("identifier", sa.Text, nullable=False),
    sa.Column("secret", sa.Text, nullable=False),  # never shown or logged
    sa.Column("changed_at", Millis, nullable=False),
)

# Exporters of Prometheus that are asked.
exporters = sa.Table(
    "exporters",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("site_id", sa.Integer, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("host", sa.Text, nullable=False),
    sa.Column("interval_ms", Millis, nullable=False),
    sa.Column("token", sa.Text),  # never shown or logged
    sa.Column("keep_all", sa.Boolean, nullable=False),
    sa.Column("enabled", sa.Boolean, nullable=False),
    sa.Column("created_by", sa.Text, nullable=False),
    sa.Column("created_at", Millis, nullable=False),
    sa.Column("next_at", Millis, nullable=False),
    sa.Column("asked_at", Millis),
    sa.Column("answered_at", Millis),
    sa.Column("samples", sa.Integer),
    sa.Column("failures", sa.Integer, nullable=False),
    sa.Column("fault", sa.Text),
    sa.Column("is_told", sa.Boolean, nullable=False),
    sa.Index("exporters_next_at", "next_at"),
)

# How series stand to their thresholds: only of those that something is or was wrong with, or whose silence is to be told.
threshold_states = sa.Table(
    "threshold_states",
    metadata,
    sa.Column("series_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("direction", sa.Text, primary_key=True),
    sa.Column("site_id", sa.Integer, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("host", sa.Text),
    sa.Column("labels", sa.Text, nullable=False),
    sa.Column("threshold_id", sa.Text, nullable=False),
    sa.Column("level", sa.Text, nullable=False),
    sa.Column("since", Millis, nullable=False),
    sa.Column("warning_since", Millis),
    sa.Column("critical_since", Millis),
    sa.Column("last_at", Millis, nullable=False),
    sa.Column("due_at", Millis),
    sa.Column("is_silent", sa.Boolean, nullable=False),
    sa.Index("threshold_states_due_at", "due_at"),
    sa.Index("threshold_states_threshold", "threshold_id"),
)

# No foreign keys on the hot tables below: the writer made the rows that they point to in the same transaction,
# and a check a row costs more than the insert.
events = sa.Table(
    "events",
    metadata,
    sa.Column("number", Number, primary_key=True, autoincrement=True),
    sa.Column("id", sa.Text, nullable=False),
    sa.Column("site_id", sa.Integer, nullable=False),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("occurred_at", Millis, nullable=False),
    sa.Column("received_at", Millis, nullable=False),
    sa.Column("severity", sa.SmallInteger, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("message", sa.Text),
    sa.Column("subject", sa.Text),
    sa.Column("host", sa.Text),
    sa.Column("attributes", sa.Text),
    sa.Column("dedup_key", sa.Text),
    sa.Column("source", sa.Text),
    sa.Column("sequence", sa.BigInteger),
    sa.Column("alert_number", sa.BigInteger),
    sa.Index("events_id", "id", unique=True),
    # The alert rides along, so that one alert's events are found by walking its span of time in the index alone: an
    # index by alert would touch one page for each repeating alert in every commit (a fifth of the time of a repeat).
    sa.Index("events_occurred_at", "occurred_at", "alert_number"),
)

event_counts = sa.Table(
    "event_counts",
    metadata,
    sa.Column("site_id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("cell", Millis, primary_key=True, autoincrement=False),  # the beginning of five minutes, by when events occurred
    sa.Column("events", sa.BigInteger, nullable=False),
    sa.Column("problems", sa.BigInteger, nullable=False),
    sa.Column("last_at", Millis, nullable=False),  # when the last of them arrived
    sa.Index("event_counts_cell", "cell"),
)

quarantine = sa.Table(
    "quarantine",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("received_at", Millis, nullable=False),
    sa.Column("site_id", sa.Integer),
    sa.Column("key_id", sa.Text),
    sa.Column("errors", sa.Text, nullable=False),
    sa.Column("payload", sa.Text, nullable=False),
)

sequences = sa.Table(
    "sequences",
    metadata,
    sa.Column("site_id", sa.Integer, primary_key=True),
    sa.Column("source", sa.Text, primary_key=True),
    sa.Column("first_sequence", sa.BigInteger, nullable=False),
    sa.Column("last_sequence", sa.BigInteger, nullable=False),
    sa.Column("received", sa.BigInteger, nullable=False),
    sa.Column("replayed", sa.BigInteger, nullable=False),
    sa.Column("missing", sa.BigInteger, nullable=False),
    sa.Column("gaps", sa.Text, nullable=False),
    sa.Column("skew_ms", sa.BigInteger),
    sa.Column("last_seen_at", Millis, nullable=False),
)

alerts = sa.Table(
    "alerts",
    metadata,
    sa.Column("number", Number, primary_key=True, autoincrement=False),
    sa.Column("id", sa.Text, nullable=False),
    sa.Column("site_id", sa.Integer, nullable=False),
    sa.Column("dedup_key", sa.Text, nullable=False),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("message", sa.Text),
    sa.Column("subject", sa.Text),
    sa.Column("host", sa.Text),
    sa.Column("severity", sa.SmallInteger, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("occurrences", sa.BigInteger, nullable=False),
    sa.Column("generation", sa.Integer, nullable=False),  # rises whenever people have to be told anew
    sa.Column("first_seen_at", Millis, nullable=False),
    sa.Column("last_seen_at", Millis, nullable=False),
    sa.Column("attributes", sa.Text),  # of the event that opened it
    sa.Column("acknowledged_at", Millis),
    sa.Column("acknowledged_by", sa.Text),
    sa.Column("snoozed_until", Millis),
    sa.Column("resolved_at", Millis),
    sa.Column("resolved_by", sa.Text),
    sa.Column("resolution", sa.Text),
    sa.Column("assignee", sa.Text),
    sa.Column("previous_alert_id", sa.Text),
    sa.Column("due_at", Millis),  # when an acknowledgement expires or a snooze ends
    sa.Column("muted_by", sa.Text),  # why nobody is told of it
    sa.Column("is_parent", sa.Boolean),  # whether others may be quiet because of it
    sa.Column("hold", sa.Text),  # what event rules hold back
    sa.Column("flap", sa.Text),  # how it comes and goes
    sa.Column("noise_at", Millis),  # when one of the two has to be looked at
    sa.Index("alerts_id", "id", unique=True),
    sa.Index(
        "alerts_unresolved",
        "site_id",
        "dedup_key",
        unique=True,
        sqlite_where=sa.text("status <> 'resolved'"),
        postgresql_where=sa.text("status <> 'resolved'"),
    ),
    sa.Index(
        "alerts_resolved",
        "site_id",
        "dedup_key",
        "number",
        sqlite_where=sa.text("status = 'resolved'"),
        postgresql_where=sa.text("status = 'resolved'"),
    ),
    sa.Index(
        "alerts_resolved_at",
        "resolved_at",
        sqlite_where=sa.text("status = 'resolved'"),
        postgresql_where=sa.text("status = 'resolved'"),
    ),
    sa.Index("alerts_noise", "noise_at", sqlite_where=sa.text("noise_at IS NOT NULL"), postgresql_where=sa.text("noise_at IS NOT NULL")),
    sa.Index("alerts_due", "due_at", sqlite_where=sa.text("due_at IS NOT NULL"), postgresql_where=sa.text("due_at IS NOT NULL")),
    sa.Index(
        "alerts_muted",
        "site_id",
        "dedup_key",
        sqlite_where=sa.text("muted_by IS NOT NULL"),
        postgresql_where=sa.text("muted_by IS NOT NULL"),
    ),
    sa.Index(
        "alerts_parents",
        "number",
        sqlite_where=sa.text("is_parent AND status <> 'resolved'"),
        postgresql_where=sa.text("is_parent AND status <> 'resolved'"),
    ),
)

# How far each alert has come in its policy. One row for an alert of which people have to hear.
escalations = sa.Table(
    "escalations",
    metadata,
    sa.Column("alert_number", Number, primary_key=True, autoincrement=False),
    sa.Column("generation", sa.Integer, nullable=False),
    sa.Column("policy_id", sa.Text, nullable=False),
    sa.Column("policy_version", sa.Integer, nullable=False),
    sa.Column("severity", sa.SmallInteger, nullable=False),
    sa.Column("level", sa.Integer, nullable=False),
    sa.Column("cycle", sa.Integer, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("next_at", Millis),
    sa.Column("started_at", Millis, nullable=False),
    sa.Column("reached", sa.Integer, nullable=False),
    sa.Index("escalations_due", "next_at", sqlite_where=sa.text("next_at IS NOT NULL"), postgresql_where=sa.text("next_at IS NOT NULL")),
    sa.Index("escalations_alone", "alert_number", sqlite_where=sa.text("state = 'alone'"), postgresql_where=sa.text("state = 'alone'")),
)

alert_history = sa.Table(
    "alert_history",
    metadata,
    sa.Column("number", Number, primary_key=True, autoincrement=True),
    sa.Column("alert_number", sa.BigInteger, nullable=False),
    sa.Column("at", Millis, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("details", sa.Text),
    sa.Index("alert_history_alert", "alert_number"),
)

notices = sa.Table(
    "notices",
    metadata,
    sa.Column("number", Number, primary_key=True, autoincrement=True),
    sa.Column("id", sa.Text, nullable=False),
    sa.Column("site_id", sa.Integer, nullable=False),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("created_at", Millis, nullable=False),
    sa.Column("expires_at", Millis),
)

outbox = sa.Table(
    "outbox",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("alert_number", sa.BigInteger, nullable=False),  # negative: the notice of that number
    sa.Column("generation", sa.Integer, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("step", sa.Integer, nullable=False),
    sa.Column("contact_id", sa.Text, nullable=False),
    sa.Column("site_id", sa.Integer, nullable=False),
    sa.Column("severity", sa.SmallInteger, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("fence", sa.Integer, nullable=False),
    sa.Column("lease_node", sa.Text),
    sa.Column("lease_until", Millis),
    sa.Column("next_attempt_at", Millis),
    sa.Column("created_at", Millis, nullable=False),
    sa.Column("sent_at", Millis),
    sa.Column("maybe_repeated", sa.Boolean, nullable=False),
    sa.Column("receipt", sa.Text),
    sa.Column("last_error", sa.Text),
    sa.Column("digest_id", sa.Text),  # the message that carried this one, when it was bundled
    sa.Column("links_revoked_at", Millis),
    sa.Column("due_at", Millis),  # when it was to be sent, if not at once
    sa.Index("outbox_identity", "alert_number", "generation", "kind", "step", "contact_id", unique=True),
    sa.Index(
        "outbox_due",
        "next_attempt_at",
        sqlite_where=sa.text("next_attempt_at IS NOT NULL"),
        postgresql_where=sa.text("next_attempt_at IS NOT NULL"),
    ),
    sa.Index("outbox_leased", "lease_until", sqlite_where=sa.text("status = 'sending'"), postgresql_where=sa.text("status = 'sending'")),
    sa.Index(
        "outbox_digest",
        "digest_id",
        sqlite_where=sa.text("digest_id IS NOT NULL"),
        postgresql_where=sa.text("digest_id IS NOT NULL"),
    ),
)

attempts = sa.Table(
    "attempts",
    metadata,
    sa.Column("outbox_id", sa.Text, primary_key=True),
    sa.Column("fence", sa.Integer, primary_key=True),
    sa.Column("node", sa.Text, nullable=False),
    sa.Column("contact_id", sa.Text, nullable=False),
    sa.Column("claimed_at", Millis, nullable=False),
    sa.Column("finished_at", Millis),
    sa.Column("outcome", sa.Text),
    sa.Column("error", sa.Text),
    sqlite_with_rowid=False,
)

# What was handed over to providers of texts and calls: what it costs, and how far it came.
handovers = sa.Table(
    "handovers",
    metadata,
    sa.Column("outbox_id", sa.Text, primary_key=True),
    sa.Column("fence", sa.Integer, primary_key=True),
    sa.Column("contact_id", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("provider", sa.Text),
    sa.Column("provider_id", sa.Text),
    sa.Column("stage", sa.Text, nullable=False),
    sa.Column("cost", sa.BigInteger, nullable=False),  # millionths of what the provider bills in
    sa.Column("created_at", Millis, nullable=False),
    sa.Column("due_at", Millis),  # when to look whether a receipt has come
    sa.Column("elsewhere", sa.Boolean, nullable=False),
    sa.Column("error", sa.Text),
    sa.Index(
        "handovers_provider_id",
        "provider",
        "provider_id",
        unique=True,
        sqlite_where=sa.text("provider_id IS NOT NULL"),
        postgresql_where=sa.text("provider_id IS NOT NULL"),
    ),
    sa.Index("handovers_due", "due_at", sqlite_where=sa.text("due_at IS NOT NULL"), postgresql_where=sa.text("due_at IS NOT NULL")),
    sa.Index("handovers_created_at", "created_at"),
)

# Texts that people sent, so that a provider that tells of one twice has it done once.
phone_replies = sa.Table(
    "phone_replies",
    metadata,
    sa.Column("provider", sa.Text, primary_key=True),
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("at", Millis, nullable=False),
    sa.Column("answer", sa.Text),
)

preferences = sa.Table(
    "preferences",
    metadata,
    sa.Column("user_id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),  # JSON
)

silences = sa.Table(
    "silences",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("matchers", sa.Text, nullable=False),
    sa.Column("starts_at", Millis, nullable=False),
    sa.Column("ends_at", Millis, nullable=False),
    sa.Column("comment", sa.Text, nullable=False),
    sa.Column("created_by", sa.Text, nullable=False),
    sa.Column("created_at", Millis, nullable=False),
    sa.Column("ended_by", sa.Text),
    sa.Column("reminded_at", Millis),
    sa.Index("silences_ends_at", "ends_at"),
)

maintenance = sa.Table(
    "maintenance",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("matchers", sa.Text, nullable=False),
    sa.Column("starts_at", Millis, nullable=False),
    sa.Column("ends_at", Millis, nullable=False),
    sa.Column("comment", sa.Text, nullable=False),
    sa.Column("rrule", sa.Text),
    sa.Column("time_zone", sa.Text, nullable=False),
    sa.Column("created_by", sa.Text, nullable=False),
    sa.Column("created_at", Millis, nullable=False),
    sa.Column("ended_at", Millis),
    sa.Column("ended_by", sa.Text),
)

dependencies = sa.Table(
    "dependencies",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("parent", sa.Text, nullable=False),
    sa.Column("children", sa.Text, nullable=False),
    sa.Column("same", sa.Text, nullable=False),
    sa.Column("created_by", sa.Text, nullable=False),
    sa.Column("created_at", Millis, nullable=False),
)

settings = sa.Table(
    "settings",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)

# What hangs on each server and gateway of a site, as WHMCS last said (A12): replaced as a whole by each survey.
impacts = sa.Table(
    "impacts",
    metadata,
    sa.Column("site_id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("figures", sa.Text, nullable=False),  # JSON
)

# How each action of WHMCS's API went last at a site, and what it said when it last went well (M4).
whmcs_looks = sa.Table(
    "whmcs_looks",
    metadata,
    sa.Column("site_id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("action", sa.Text, primary_key=True),
    sa.Column("asked_at", Millis, nullable=False),
    sa.Column("answered_at", Millis),
    sa.Column("took_ms", sa.Integer),
    sa.Column("fault", sa.Text),
    sa.Column("cure", sa.Text),
    sa.Column("facts", sa.Text),  # JSON
    sa.Column("standing", sa.Text),  # JSON: the problems that were told
)

# What is asked from outside (M2), each with where it stands. Two processes share the work: whoever has the lease looks.
checks = sa.Table(
    "checks",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("site_id", sa.Integer, nullable=False),
    sa.Column("definition", sa.Text, nullable=False),  # JSON
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("is_paused", sa.Boolean, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("status_since", Millis, nullable=False),
    sa.Column("state", sa.Text, nullable=False),  # JSON
    sa.Column("created_at", Millis, nullable=False),
    sa.Column("created_by", sa.Text, nullable=False),
    sa.Column("updated_at", Millis, nullable=False),
    sa.Column("due_at", Millis),  # empty: paused
    sa.Column("fence", sa.Integer, nullable=False),  # of the look under way: a later claim outdates it
    sa.Column("lease_until", Millis),
    sa.Column("last_at", Millis),
    sa.Column("last_ms", sa.Float),
    sa.Column("last_words", sa.Text),
    sa.Column("last_cause", sa.Text),
    sa.Column("expires_at", Millis),  # the certificate
    sa.Column("changed_at", Millis),  # when its status, or what people decide about it, was last written: for those who listen
    sa.Index("checks_due", "due_at", sqlite_where=sa.text("due_at IS NOT NULL"), postgresql_where=sa.text("due_at IS NOT NULL")),
    sa.Index("checks_site", "site_id"),
    sa.Index("checks_changed_at", "changed_at"),
)

# Each look of the last days; those at which something was wrong or changed have their evidence and stay longer.
check_results = sa.Table(
    "check_results",
    metadata,
    sa.Column("check_id", sa.Text, primary_key=True),
    sa.Column("at", Millis, primary_key=True),
    sa.Column("level", sa.Integer),  # empty: nothing was learned of the target
    sa.Column("status", sa.Text, nullable=False),  # of the check, after it
    sa.Column("cause", sa.Text, nullable=False),
    sa.Column("words", sa.Text, nullable=False),
    sa.Column("ms", sa.Float),
    sa.Column("phases", sa.Text, nullable=False),  # JSON
    sa.Column("evidence", sa.Text),  # JSON
    sa.Index("check_results_plain", "at", sqlite_where=sa.text("evidence IS NULL"), postgresql_where=sa.text("evidence IS NULL")),
    sa.Index("check_results_evident", "at", sqlite_where=sa.text("evidence IS NOT NULL"), postgresql_where=sa.text("evidence IS NOT NULL")),
    sqlite_with_rowid=False,
)

# From where a check is asked if not by the server alone: each location with what it found last.
check_locations = sa.Table(
    "check_locations",
    metadata,
    sa.Column("check_id", sa.Text, primary_key=True),
    sa.Column("location", sa.Text, primary_key=True),  # a host of the site, or `server`
    sa.Column("site_id", sa.Integer, nullable=False),
    sa.Column("at", Millis),  # empty: it has not looked yet
    sa.Column("since", Millis, nullable=False),  # that it finds the same
    sa.Column("mark", sa.Text, nullable=False),  # of what it was told to look at
    sa.Column("due_at", Millis, nullable=False),  # when it is to look next
    sa.Column("finding", sa.Text),  # JSON
    sa.Index("check_locations_of", "site_id", "location"),
    sqlite_with_rowid=False,
)

# Every stretch of time that a check spent in one status, without a gap; those that are down are the outages (H5).
check_spans = sa.Table(
    "check_spans",
    metadata,
    sa.Column("check_id", sa.Text, primary_key=True),
    sa.Column("starts_at", Millis, primary_key=True),
    sa.Column("ends_at", Millis),  # empty: it lasts
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("cause", sa.Text, nullable=False),
    sa.Column("words", sa.Text),
    sa.Index("check_spans_ends_at", "ends_at"),
    sqlite_with_rowid=False,
)

# What is measured (H1). One row for each site, host, name and set of labels; a host that is none is an empty text.
series = sa.Table(
    "series",
    metadata,
    sa.Column("id", Number, primary_key=True, autoincrement=True),
    sa.Column("site_id", sa.Integer, nullable=False),
    sa.Column("host", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("labels", sa.Text, nullable=False),  # a JSON object, its members in order
    sa.Column("first_at", Millis, nullable=False),
    sa.Index("series_identity", "site_id", "host", "name", "labels", unique=True),
    sa.Index("series_name", "name"),
)

# Series that are there no more. The rows stay: a number is never given twice, and what is left of one is known (metrics.removing).
removed_series = sa.Table(
    "removed_series",
    metadata,
    sa.Column("number", Number, primary_key=True, autoincrement=True),
    sa.Column("series_id", Number, nullable=False, unique=True),
    sa.Column("first_at", Millis, nullable=False),
    sa.Column("removed_at", Millis, nullable=False),
    sa.Column("swept_at", Millis),  # since when nothing is left of it
    sa.Index("removed_series_left", "series_id", sqlite_where=sa.text("swept_at IS NULL"), postgresql_where=sa.text("swept_at IS NULL")),
)

# The samples of the last minutes, one row a sample. The moment of ten seconds (since 1970) stands first, so that what arrives
# together lies together: ordered by series, or by hours of them, each sample of a batch would touch a page of its own.
open_samples = sa.Table(
    "open_samples",
    metadata,
    sa.Column("tens", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("series_id", Number, primary_key=True, autoincrement=False),
    sa.Column("at", Millis, primary_key=True, autoincrement=False),
    sa.Column("value", sa.Double, nullable=False),
    sqlite_with_rowid=False,
)

# Those of the last days. The hour (since 1970) stands first, so that an hour of a series is read at once.
samples = sa.Table(
    "samples",
    metadata,
    sa.Column("hour", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("series_id", Number, primary_key=True, autoincrement=False),
    sa.Column("at", Millis, primary_key=True, autoincrement=False),
    sa.Column("value", sa.Double, nullable=False),
    sqlite_with_rowid=False,
)

# Jobs that report when they run (M5). The token in the address that they call is stored as its digest only.
heartbeats = sa.Table(
    "heartbeats",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("site_id", sa.Integer, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("digest", sa.Text, nullable=False, unique=True),
    sa.Column("period", Millis),  # or a cron expression
    sa.Column("cron", sa.Text),
    sa.Column("time_zone", sa.Text, nullable=False),
    sa.Column("grace", Millis, nullable=False),
    sa.Column("longest_run", Millis),
    sa.Column("severity", sa.SmallInteger, nullable=False),
    sa.Column("created_at", Millis, nullable=False),
    sa.Column("updated_at", Millis, nullable=False),
    sa.Column("paused_at", Millis),
    sa.Column("expected_at", Millis),
    sa.Column("due_at", Millis),  # when there is something to decide
    sa.Column("started_at", Millis),
    sa.Column("last_ping_at", Millis),
    sa.Column("last_kind", sa.Text),
    sa.Column("last_took", Millis),
    sa.Column("missed_at", Millis),  # since when that is told
    sa.Column("failed_at", Millis),
    sa.Column("overrunning_at", Millis),
    sa.Index("heartbeats_due", "due_at", sqlite_where=sa.text("due_at IS NOT NULL"), postgresql_where=sa.text("due_at IS NOT NULL")),
)

heartbeat_pings = sa.Table(
    "heartbeat_pings",
    metadata,
    sa.Column("number", Number, primary_key=True, autoincrement=True),
    sa.Column("heartbeat_id", sa.Text, nullable=False),
    sa.Column("site_id", sa.Integer, nullable=False),
    sa.Column("at", Millis, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("took", Millis),
    sa.Column("exit_code", sa.SmallInteger),
    sa.Column("address", sa.Text, nullable=False),
    sa.Column("log", sa.Text, nullable=False),
    sa.Index("heartbeat_pings_of", "heartbeat_id", "number"),
)

# History that is sealed: six days of sixteen series in one pack, with their times (tocsin.metrics.packs).
blocks = sa.Table(
    "blocks",
    metadata,
    sa.Column("span", sa.Integer, primary_key=True, autoincrement=False),  # six days, counted since 1970
    sa.Column("part", Number, primary_key=True, autoincrement=False),  # sixteen series
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("samples", sa.Integer, nullable=False),
    sa.Column("pack", sa.LargeBinary, nullable=False),
)

# What the samples of an hour and of a day come to. The day stands first in the hours, as the hour does in `samples`.
rollups_hourly = sa.Table(
    "rollups_hourly",
    metadata,
    sa.Column("day", sa.Integer, primary_key=True, autoincrement=False),  # since 1970
    sa.Column("series_id", Number, primary_key=True, autoincrement=False),
    sa.Column("hour", sa.Integer, primary_key=True, autoincrement=False),  # since 1970
    sa.Column("count", sa.Integer, nullable=False),
    sa.Column("sum", sa.Double, nullable=False),
    sa.Column("min", sa.Double, nullable=False),
    sa.Column("max", sa.Double, nullable=False),
    sa.Column("p50", sa.Double, nullable=False),
    sa.Column("p95", sa.Double, nullable=False),
    sa.Column("p99", sa.Double, nullable=False),
    sqlite_with_rowid=False,
)

rollups_daily = sa.Table(
    "rollups_daily",
    metadata,
    sa.Column("series_id", Number, primary_key=True, autoincrement=False),
    sa.Column("day", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("count", sa.Integer, nullable=False),
    sa.Column("sum", sa.Double, nullable=False),
    sa.Column("min", sa.Double, nullable=False),
    sa.Column("max", sa.Double, nullable=False),
    sa.Column("p50", sa.Double, nullable=False),
    sa.Column("p95", sa.Double, nullable=False),
    sa.Column("p99", sa.Double, nullable=False),
    sqlite_with_rowid=False,
)

# Days of series of which samples came after their hour was over: they are rolled up again.
late_days = sa.Table(
    "late_days",
    metadata,
    sa.Column("day", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("series_id", Number, primary_key=True, autoincrement=False),
    sa.Column("version", sa.Integer, nullable=False),  # rises with each batch
    sqlite_with_rowid=False,
)

# Servers that an agent reports for (M1), by name. The token with which a new one fetches its key is stored as its digest only.
hosts = sa.Table(
    "hosts",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("site_id", sa.Integer, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("agent_id", sa.Text, nullable=False),
    sa.Column("version", sa.Text, nullable=False),
    sa.Column("interval", Millis, nullable=False),
    sa.Column("facts", sa.Text, nullable=False),  # JSON
    sa.Column("clock_off", Millis, nullable=False),
    sa.Column("first_seen_at", Millis, nullable=False),
    sa.Column("last_seen_at", Millis, nullable=False),
    sa.Column("due_at", Millis),  # when its silence is told
    sa.Column("silent_at", Millis),
    sa.Column("clock_told_at", Millis),
    sa.Column("paused_at", Millis),
    sa.Index("hosts_name", "site_id", "name", unique=True),
    sa.Index("hosts_due", "due_at", sqlite_where=sa.text("due_at IS NOT NULL"), postgresql_where=sa.text("due_at IS NOT NULL")),
)

agent_tokens = sa.Table(
    "agent_tokens",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("digest", sa.Text, nullable=False, unique=True),
    sa.Column("site_id", sa.Integer, nullable=False),
    sa.Column("created_at", Millis, nullable=False),
    sa.Column("created_by", sa.Text, nullable=False),
    sa.Column("expires_at", Millis, nullable=False),
    sa.Column("used_at", Millis),
    sa.Column("used_by", sa.Text),
)
