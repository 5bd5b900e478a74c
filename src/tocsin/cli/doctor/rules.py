"""What each look means: pure decisions, one for each part, each with the cure for each fault."""

from collections.abc import Iterable, Sequence

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
from tocsin.core.clock import MINUTE
from tocsin.core.text import counted
from tocsin.core.times import in_words, to_text

MEGABYTE = 1_000_000
LITTLE_SPACE, NO_SPACE = 500 * MEGABYTE, 50 * MEGABYTE
LITTLE_SHARE = 0.05
BIG_WAL = 256 * MEGABYTE
PRIVATE = 0o700
EARLIEST, LATEST = 1_735_689_600_000, 4_102_444_800_000  # 2025 and 2100
WENT_BACK = MINUTE
SKEWED = MINUTE
LATE = 5 * MINUTE


def _ok(part: str, text: str) -> Finding:
    return Finding(part, Verdict.OK, text)


def _warning(part: str, text: str, cure: str) -> Finding:
    return Finding(part, Verdict.WARNING, text, cure)


def _fault(part: str, text: str, cure: str) -> Finding:
    return Finding(part, Verdict.FAULT, text, cure)


def settings(misspelt: Iterable[tuple[str, str]], open_secrets: Iterable[object] = ()) -> list[Finding]:
    """The settings could be read; some names may be wrong, and secrets may lie open."""
    findings = [
        _warning("settings", f"everybody on this machine may read {path}, which holds a secret", f"chmod o-rwx {path}")
        for path in open_secrets
    ]
    findings += [
        _warning(
            "settings",
            f"{name} is set, and is no setting",
            f"call it {meant}" if meant else "take it away: the names above are all that there are",
        )
        for name, meant in misspelt
    ]
    return findings or [_ok("settings", "all are readable")]


def folder(seen: Folder) -> list[Finding]:
    """The data folder: there, private, writable, with room."""
    part, path = "data folder", seen.path
    if not seen.exists:
        return [_fault(part, f"{path} does not exist", "start `tocsin serve`, which makes it, or set TOCSIN_DATA_DIR")]
    if not seen.is_folder:
        return [_fault(part, f"{path} is no folder", "set TOCSIN_DATA_DIR to a folder of your own")]
    findings = []
    if seen.write_error is not None:
        cure = f"make it writable for the user that runs Tocsin (it belongs to {seen.owner}), or set TOCSIN_DATA_DIR"
        findings.append(_fault(part, f"{path} cannot be written: {seen.write_error}", cure))
    if seen.mode & 0o077:
        findings.append(_fault(part, f"others may look into {path} (mode {seen.mode:04o}), and it holds secrets", f"chmod 700 {path}"))
    if not seen.owned_by_me:
        text = f"{path} belongs to {seen.owner}, and you are somebody else"
        findings.append(_warning(part, text, f"run tocsin as {seen.owner}: sudo -u {seen.owner} tocsin ..."))
    findings.extend(_space(seen))
    return findings or [_ok(part, f"{path} is private and writable, {seen.free / 1e9:.1f} GB free")]


def _space(seen: Folder) -> list[Finding]:
    text = f"{seen.free // MEGABYTE} MB are free on the disk of {seen.path}"
    cure = "free some space or enlarge the disk: with a full disk no event can be taken"
    if seen.free < NO_SPACE:
        return [_fault("data folder", text, cure)]
    if seen.free < LITTLE_SPACE or seen.free < LITTLE_SHARE * seen.total:
        return [_warning("data folder", f"{text} ({100 * seen.free / max(1, seen.total):.1f} %)", cure)]
    return []


def database(seen: Base) -> list[Finding]:
    """The database: reachable, of this release, undamaged, writable."""
    part = "database"
    if seen.missing:
        return [_fault(part, f"there is none yet: {seen.where}", "start `tocsin serve`, or run `tocsin db upgrade`")]
    if seen.error is not None:
        return [_fault(part, f"{seen.where}: {seen.error}", "mend that, or check TOCSIN_DATABASE_URL and TOCSIN_DATA_DIR")]
    findings = []
    if seen.schema_fault is not None:
        findings.append(_fault(part, seen.schema_fault, "run `tocsin db upgrade` with the newest release"))
    if seen.faults:
        more = f" (and {len(seen.faults) - 1} more)" if len(seen.faults) > 1 else ""
        cure = "`tocsin db check` lists all; stop Tocsin, keep a copy of the data folder, restore a backup"
        findings.append(_fault(part, f"{seen.faults[0]}{more}", cure))
    if seen.write_error is not None:
        findings.append(_fault(part, f"it cannot be written: {seen.write_error}", "check owner, mode and free space of its folder"))
    if seen.wal_bytes > BIG_WAL:
        text = f"its write-ahead log has {seen.wal_bytes // MEGABYTE} MB"
        findings.append(_warning(part, text, "end programs that keep the database open (`lsof`), or restart `tocsin serve`"))
    return findings or [_ok(part, f"{seen.where}: sound and writable")]


def clock(seen: Times) -> list[Finding]:
    """The clock: set, not gone back, and in step with the senders'."""
    part, cure = "clock", "set the time and keep it so: timedatectl set-ntp true"
    if not EARLIEST <= seen.now <= LATEST:
        return [_fault(part, f"this machine thinks that it is {to_text(seen.now)}", cure)]
    if seen.newest is not None and seen.newest > seen.now + WENT_BACK:
        ahead = in_words(seen.newest - seen.now)
        return [_fault(part, f"it went back: something was stored {ahead} later than now ({to_text(seen.now)})", cure)]
    skewed = {source: skew for source, skew in seen.skews.items() if abs(skew) > SKEWED}
    if skewed:
        source, skew = max(skewed.items(), key=lambda item: abs(item[1]))
        side = "ahead of" if skew > 0 else "behind"
        text = f"the clock of {source} is {in_words(abs(skew))} {side} this machine's"
        return [_warning(part, text, "set the time on both: timedatectl set-ntp true")]
    return [_ok(part, f"it is {to_text(seen.now)}")]


def running(seen: Running) -> list[Finding]:
    """Whether a server answers and an engine sends."""
    part = "server"
    if seen.timed_out:
        text = f"{seen.listen} takes connections and does not answer"
        return [_fault(part, text, "look into its log, then restart `tocsin serve`")]
    if seen.status is not None:
        return _answers(seen)
    if seen.engine_runs:
        text = f"one runs on this data folder and does not answer at {seen.listen}: {seen.error}"
        return [_warning(part, text, "right for --engine-only; otherwise give `doctor` the TOCSIN_LISTEN of the server")]
    return [_fault(part, f"none runs: {seen.listen}: {seen.error}", "start it: tocsin serve")]


def _answers(seen: Running) -> list[Finding]:
    part = "server"
    if seen.status == "other":
        text = f"what answers at {seen.listen} is not Tocsin"
        return [_fault(part, text, "end that program, or set TOCSIN_LISTEN to an address of its own")]
    if not seen.engine_runs and not seen.shared_database:
        text = f"{seen.listen} answers, and no engine runs on this data folder: nothing is sent"
        return [_fault(part, text, "start `tocsin serve` (or `tocsin serve --engine-only` beside --http-only) with this TOCSIN_DATA_DIR")]
    if seen.status != "ok":
        judge = _fault if seen.status == "down" else _warning
        return [judge(part, f"{seen.listen} says that it is {seen.status}", "its log says why; the other lines here may, too")]
    return [_ok(part, f"{seen.listen} answers, and it is well")]


def reach(seen: Reach) -> list[Finding]:
    """Whether what is set up can reach a person at night."""
    return [*_address(seen), *_contacts(seen)]


def _address(seen: Reach) -> list[Finding]:
    part, url = "public address", seen.public_url
    if seen.environment != "production":
        return [_ok(part, f"{url} ({seen.environment})")]
    if seen.host_is_loopback:
        text = f"links and buttons point to {url}, which no phone can reach"
        return [_warning(part, text, "set TOCSIN_PUBLIC_URL to an https:// address that leads here, through a reverse proxy")]
    if url.startswith("http://"):
        text = f"links and buttons point to {url}: what they do travels unencrypted"
        return [_warning(part, text, "put a reverse proxy with TLS in front and set TOCSIN_PUBLIC_URL to its https:// address")]
    return [_ok(part, url)]


def _contacts(seen: Reach) -> list[Finding]:
    part = "contacts"
    if seen.mail_target is not None and not seen.has_smtp:
        text = f"NOTIFICATION_EMAIL is {seen.mail_target}, and there is no mail server to send through"
        return [_fault(part, text, "set TOCSIN_SMTP_URL, such as smtp://user:password@mail.example.com:587")]
    if not seen.kinds:
        cure = "set NTFY_SERVER_URL and NTFY_TOPIC (push), or NOTIFICATION_EMAIL and TOCSIN_SMTP_URL (mail)"
        return [_fault(part, "there is none: nobody is told of anything", cure)]
    if set(seen.kinds) == {"ntfy"}:
        text = "push is the only way, also for severity 4 and 5; an iPhone gets it through a relay that passes 250 messages a day"
        return [_warning(part, text, "set NOTIFICATION_EMAIL and TOCSIN_SMTP_URL too, so that a page has a second way")]
    return [_ok(part, f"{counted(len(seen.kinds), 'contact')}: {', '.join(sorted(set(seen.kinds)))}")]


def channels(checked: Iterable[Checked]) -> list[Finding]:
    """Each contact, as its channel sees it now."""
    return [_channel(one) for one in checked]


def _channel(one: Checked) -> Finding:
    part = "channel"
    if one.fault is None:
        return _ok(part, f"{one.contact} can be written to")
    return _fault(part, f"{one.contact}: {one.fault}", "mend that; then `tocsin test-alert` shows whether it arrives")


def accounts(seen: Accounts) -> list[Finding]:
    """Whether anything can report and anybody can log in."""
    findings = []
    if not seen.keys:
        cure = "make one: tocsin key add whmcs --scope ingest"
        findings.append(_warning("keys", "there is no good API key: nothing can report", cure))
    if not seen.users:
        cure = "add one: tocsin user add you@example.com --name You --role admin --password-stdin"
        findings.append(_warning("users", "there is no user: nobody can log in", cure))
    return findings or [_ok("access", f"{counted(seen.keys, 'good key')}, {counted(seen.users, 'user')}")]


def whmcs(seen: Iterable[Whmcs]) -> list[Finding]:
    """The API of WHMCS of each site that we are to ask."""
    return [
        _ok(f"WHMCS of {one.site}", f"version {one.version} answers our questions")
        if one.error is None
        else _fault(f"WHMCS of {one.site}", one.error, one.cure)
        for one in seen
    ]


def exporters(seen: Sequence[Exporter]) -> list[Finding]:
    """The exporters that are asked: those that show nothing, by name."""
    cure = "open its page from this machine: does it run, and does a firewall let us through? Its address stands under Settings > Exporters"
    wrong = [_fault(f"exporter {one.name}", one.fault, cure) for one in seen if one.fault is not None]
    well = len(seen) - len(wrong)
    return [*wrong, *([_ok("exporters", f"{well} of {len(seen)} answer")] if well else [])]


def policies(seen: Policies) -> list[Finding]:
    """Whether each policy still reaches whom it names."""
    part = "policies"
    cure = "have them set up a contact, or put somebody else there; until then others are told in their place"
    findings = []
    for name, faults in sorted(seen.faults.items()):
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        findings.append(_warning(part, f"{name} does not reach everybody whom it names: {faults[0]}{more}", cure))
    well = f"each of {seen.count} reaches everybody whom it names" if seen.count else "the built-in one holds"
    return findings or [_ok(part, well)]


def outbox(seen: Outbox) -> list[Finding]:
    """Whether messages get away."""
    part = "outbox"
    findings = [
        _fault(part, f"messages to {contact} fail: {error}", "they are tried again; the line of that channel says what to do")
        for contact, error in sorted(seen.failing.items())
    ]
    if seen.oldest_waiting is not None and seen.oldest_waiting > LATE:
        text = f"{counted(seen.waiting, 'message')} waiting, the oldest for {in_words(seen.oldest_waiting)}"
        findings.append(_fault(part, text, "see that `tocsin serve` runs and that its channels work"))
    if seen.failed_lately:
        text = f"{counted(seen.failed_lately, 'message')} could not be delivered in the last day"
        findings.append(_warning(part, text, "the history of those alerts says why"))
    if seen.unknown_lately:
        text = f"of {counted(seen.unknown_lately, 'message')} of the last day nobody knows whether they arrived"
        findings.append(_warning(part, text, "look at the provider; pages of severity 4 and 5 were sent again"))
    return findings or [_ok(part, f"{counted(seen.waiting, 'message')} waiting")]


def promises(seen: Promised) -> list[Finding]:
    """Whether everything comes to something by itself, and whether somebody outside would notice if Tocsin were gone."""
    part = "promises"
    cure = "a running `tocsin serve` mends it within a minute; if it stays, look into its log and restart it"
    findings = [_fault(part, words, cure) for words in seen.broken]
    if seen.alone:
        text = f"nobody could be told of {counted(seen.alone, 'open alert')}"
        findings.append(_warning(part, text, "set up a contact: they page as soon as there is somebody"))
    if not findings:
        findings.append(_ok(part, "whatever is open has its next step, or has had them all"))
    watched = "an address outside is called each minute while all is well"
    alone = "nothing outside notices if this machine is gone; TOCSIN_HEARTBEAT_URL can call a dead man's switch"
    return [*findings, _ok("heartbeat", watched if seen.has_heartbeat else alone)]


def arrivals(seen: Arrivals) -> list[Finding]:
    """Whether everything came in that was sent."""
    findings = []
    if seen.quarantined:
        text = f"{counted(seen.quarantined, 'event')} could not be read and lie in quarantine"
        cure = "the table `quarantine` says what is wrong with each: mend the sender"
        findings.append(_warning("events", text, cure))
    for source, count in sorted(seen.missing.items()):
        text = f"{counted(count, 'event')} of {source} never came"
        findings.append(_warning("events", text, "run `php flush.php` there and look at the spool of the bridge"))
    return findings or [_ok("events", "nothing is missing, nothing was unreadable")]


def worst(findings: Iterable[Finding]) -> Verdict:
    """The worst of all."""
    found = {finding.verdict for finding in findings}
    return next((verdict for verdict in (Verdict.FAULT, Verdict.WARNING) if verdict in found), Verdict.OK)
