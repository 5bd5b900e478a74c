"""What each look means: the rules of `tocsin doctor` as tables."""

from dataclasses import replace

import pytest

from tocsin.cli.doctor import rules
from tocsin.cli.doctor.model import (
    Accounts,
    Arrivals,
    Base,
    Checked,
    Exporter,
    Finding,
    Folder,
    Outbox,
    Policies,
    Promised,
    Reach,
    Running,
    Times,
    Verdict,
    Whmcs,
)
from tocsin.core.clock import HOUR, MINUTE

NOW = 1_764_040_320_000
FOLDER = Folder("/d", True, True, 0o700, "tocsin", True, None, 50_000_000_000, 100_000_000_000)
BASE = Base("SQLite, /d/tocsin.db", False, None, None, (), 0, None)
TIMES = Times(NOW, NOW - HOUR, {"bridge-1": 400})
RUNNING = Running("http://127.0.0.1:8400", True, "ok", None, False, False)
REACH = Reach("production", "https://alarm.example.com", False, ("ntfy", "email"), "ops@example.com", True)
OUTBOX = Outbox(0, None, {}, 0, 0)
PROMISED = Promised((), 0, True)
ALL_WELL: list[Finding] = [
    *rules.settings([]),
    *rules.folder(FOLDER),
    *rules.database(BASE),
    *rules.clock(TIMES),
    *rules.running(RUNNING),
    *rules.reach(REACH),
    *rules.whmcs([Whmcs("8.13.1", None, ""), Whmcs("8.13.1", None, "", "acme")]),
    *rules.exporters([Exporter("node_exporter of web01", None)]),
    *rules.channels([Checked("ntfy alerts", None)]),
    *rules.accounts(Accounts(1, 1)),
    *rules.outbox(OUTBOX),
    *rules.promises(PROMISED),
    *rules.policies(Policies(0, {})),
    *rules.policies(Policies(1, {})),
    *rules.arrivals(Arrivals(0, {})),
]

F, W = Verdict.FAULT, Verdict.WARNING
CASES: dict[str, tuple[list[Finding], Verdict, str, str]] = {
    "a slip of the pen": (rules.settings([("NTFY_TOPPIC", "NTFY_TOPIC")]), W, "NTFY_TOPPIC is set, and is no", "call it NTFY_TOPIC"),
    "a setting of nobody": (rules.settings([("TOCSIN_X", "")]), W, "TOCSIN_X is set, and is no setting", "take it away"),
    "an open secret": (
        rules.settings([], ["/etc/token"]),
        W,
        "everybody on this machine may read /etc/token",
        "chmod o-rwx /etc/token",
    ),
    "a refused key": (
        rules.whmcs([Whmcs("", "WHMCS refuses GetServers", "In WHMCS: allow GetServers", "acme")]),
        F,
        "refuses",
        "allow GetServers",
    ),
    "an exporter that is silent": (
        rules.exporters([Exporter("node_exporter of web01", "it answered with status 404, not 200")]),
        F,
        "status 404",
        "firewall",
    ),
    "no folder yet": (rules.folder(replace(FOLDER, exists=False)), F, "does not exist", "tocsin serve"),
    "a file": (rules.folder(replace(FOLDER, is_folder=False)), F, "is no folder", "TOCSIN_DATA_DIR"),
    "a read-only folder": (rules.folder(replace(FOLDER, write_error="Permission denied")), F, "cannot be written", "belongs to tocsin"),
    "an open folder": (rules.folder(replace(FOLDER, mode=0o750)), F, "mode 0750", "chmod 700 /d"),
    "another's folder": (rules.folder(replace(FOLDER, owned_by_me=False)), W, "belongs to tocsin", "sudo -u tocsin"),
    "a full disk": (rules.folder(replace(FOLDER, free=20_000_000)), F, "20 MB are free", "free some space"),
    "little space": (rules.folder(replace(FOLDER, free=400_000_000)), W, "400 MB are free", "free some space"),
    "a small share": (rules.folder(replace(FOLDER, free=4_000_000_000)), W, "(4.0 %)", "free some space"),
    "no database": (rules.database(replace(BASE, missing=True)), F, "there is none yet", "tocsin db upgrade"),
    "a lost database": (rules.database(replace(BASE, error="it does not answer")), F, "does not answer", "TOCSIN_DATABASE_URL"),
    "an old schema": (rules.database(replace(BASE, schema_fault="schema 0000")), F, "schema 0000", "tocsin db upgrade"),
    "broken promises": (rules.database(replace(BASE, faults=("2 alerts", "b"))), F, "2 alerts (and 1 more)", "tocsin db check"),
    "a locked database": (rules.database(replace(BASE, write_error="it is read-only")), F, "cannot be written", "owner"),
    "a huge log": (rules.database(replace(BASE, wal_bytes=300_000_000)), W, "300 MB", "restart"),
    "a clock of 1970": (rules.clock(replace(TIMES, now=5)), F, "1970-01-01", "timedatectl"),
    "a clock gone back": (rules.clock(replace(TIMES, newest=NOW + 2 * HOUR)), F, "it went back", "timedatectl"),
    "a sender's clock ahead": (rules.clock(replace(TIMES, skews={"b": 3 * MINUTE})), W, "of b is 3 min ahead of", "timedatectl"),
    "a sender's clock behind": (rules.clock(replace(TIMES, skews={"b": -3 * MINUTE})), W, "3 min behind", "timedatectl"),
    "a broken promise": (rules.promises(replace(PROMISED, broken=("alerts that hang: 3",))), F, "alerts that hang: 3", "within a minute"),
    "nobody to tell": (rules.promises(replace(PROMISED, alone=2)), W, "nobody could be told of 2 open alerts", "set up a contact"),
    "no server": (rules.running(Running("u", False, None, "connection refused", False, False)), F, "none runs", "tocsin serve"),
    "a hung server": (rules.running(replace(RUNNING, status=None, timed_out=True)), F, "does not answer", "restart"),
    "an engine alone": (rules.running(replace(RUNNING, status=None, error="refused")), W, "does not answer at", "--engine-only"),
    "requests alone": (rules.running(replace(RUNNING, engine_runs=False)), F, "no engine runs", "--engine-only"),
    "another program": (rules.running(replace(RUNNING, status="other")), F, "is not Tocsin", "TOCSIN_LISTEN"),
    "a sick server": (rules.running(replace(RUNNING, status="down")), F, "it is down", "log"),
    "an ailing server": (rules.running(replace(RUNNING, status="degraded")), W, "it is degraded", "log"),
    "an inner address": (rules.reach(replace(REACH, host_is_loopback=True)), W, "no phone can reach", "TOCSIN_PUBLIC_URL"),
    "no TLS": (rules.reach(replace(REACH, public_url="http://alarm.example.com")), W, "unencrypted", "reverse proxy"),
    "nobody": (rules.reach(replace(REACH, kinds=(), mail_target=None)), F, "nobody is told", "NTFY_SERVER_URL"),
    "mail without a server": (rules.reach(replace(REACH, has_smtp=False)), F, "no mail server", "TOCSIN_SMTP_URL"),
    "push alone": (rules.reach(replace(REACH, kinds=("ntfy",), mail_target=None)), W, "iPhone", "NOTIFICATION_EMAIL"),
    "a channel that fails": (rules.channels([Checked("ntfy a", "no such host")]), F, "ntfy a: no such host", "tocsin test-alert"),
    "no key": (rules.accounts(Accounts(0, 1)), W, "no good API key", "tocsin key add"),
    "no user": (rules.accounts(Accounts(1, 0)), W, "no user", "tocsin user add"),
    "a policy that names who is gone": (
        rules.policies(Policies(2, {"Nights": ("steps[0].targets[0].id Tom has no verified contact", "b", "c")})),
        W,
        "Nights does not reach everybody whom it names: steps[0].targets[0].id Tom has no verified contact (and 2 more)",
        "set up a contact",
    ),
    "messages that fail": (rules.outbox(replace(OUTBOX, failing={"ntfy a": "forbidden"})), F, "ntfy a fail: forbidden", "channel"),
    "messages that wait": (rules.outbox(replace(OUTBOX, waiting=3, oldest_waiting=HOUR)), F, "oldest for 1 h", "tocsin serve"),
    "lost messages": (rules.outbox(replace(OUTBOX, failed_lately=2)), W, "2 messages could not", "history"),
    "doubtful messages": (rules.outbox(replace(OUTBOX, unknown_lately=1)), W, "nobody knows", "provider"),
    "quarantine": (rules.arrivals(Arrivals(4, {})), W, "4 events could not be read", "quarantine"),
    "a gap": (rules.arrivals(Arrivals(0, {"bridge-1 (site acme)": 7})), W, "7 events of bridge-1 (site acme) never came", "spool"),
}


def test_an_installation_that_is_well_has_only_ok() -> None:
    assert {finding.verdict for finding in ALL_WELL} == {Verdict.OK}
    assert rules.worst(ALL_WELL) is Verdict.OK


@pytest.mark.parametrize("name", CASES)
def test_each_trouble_is_named_with_its_cure(name: str) -> None:
    findings, verdict, text, cure = CASES[name]
    (finding,) = [finding for finding in findings if finding.verdict is not Verdict.OK]
    assert finding.verdict is verdict
    assert text in finding.text
    assert cure in (finding.cure or "")
    assert rules.worst(findings) is verdict


@pytest.mark.claim("K26", "origin:A4", "O2")
@pytest.mark.parametrize("environment", ["development", "staging"])
def test_before_production_no_public_address_is_asked_for(environment: str) -> None:
    at_home = replace(REACH, environment=environment, host_is_loopback=True)
    assert rules.worst(rules.reach(at_home)) is Verdict.OK
