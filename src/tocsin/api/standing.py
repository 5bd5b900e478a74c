"""Where alerts stand in their policies, for the answers that show alerts."""

from collections.abc import Sequence

import sqlalchemy as sa

from tocsin.alerts.model import Alert, Status
from tocsin.api.shapes import EscalationOut
from tocsin.bootstrap import Core
from tocsin.core.times import to_text_or_none
from tocsin.escalation import store
from tocsin.escalation.model import Progress


def standings(core: Core, connection: sa.Connection, alerts: Sequence[Alert]) -> dict[int, EscalationOut]:
    """The escalation of each of *alerts* that has one, by number; of what is resolved there is none any more."""
    found = store.read(connection, [alert.number for alert in alerts if alert.status != Status.RESOLVED])
    return {number: _out(core, connection, progress) for number, progress in found.items()}


def standing(core: Core, connection: sa.Connection, alert: Alert) -> EscalationOut | None:
    """The escalation of one alert."""
    return standings(core, connection, [alert]).get(alert.number)


def _out(core: Core, connection: sa.Connection, progress: Progress) -> EscalationOut:
    policy = core.policies.version(connection, progress.policy_id, progress.policy_version)
    return EscalationOut(policy.name, policy.count(progress), to_text_or_none(progress.next_at))
