"""Every command, on one page: its name, what it takes, an example. What it does is in the module that its function loads."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypeVar

import click

from tocsin import __version__
from tocsin.cli.start import Start

Command = TypeVar("Command", bound=Callable[..., Any])
SEVERITIES = click.IntRange(1, 5)
STATUSES = ("open", "acknowledged", "snoozed", "resolved")
as_json = click.option("--json", "as_json", is_flag=True, help="Answer in JSON, for programs.")


def example(*lines: str) -> str:
    """An epilog that click leaves as it is."""
    return "\n".join(["\b", "Example:" if len(lines) == 1 else "Examples:", *[f"  {line}" for line in lines]])


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=example("tocsin serve", "tocsin key add whmcs --scope ingest", "tocsin doctor"),
)
@click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Settings file (TOML). Default: tocsin.toml in the data folder, if it is there.",
)
@click.version_option(__version__, message="%(prog)s %(version)s")
@click.pass_context
def tocsin(context: click.Context, *, config: Path | None) -> None:
    """Watches WHMCS and its servers, and makes sure that the right person hears of a problem, once and at once."""
    context.obj = Start(config)


@tocsin.command(epilog=example("tocsin serve", "TOCSIN_LISTEN=127.0.0.1:8401 tocsin serve --http-only"))
@click.option("--http-only", is_flag=True, help="Take events and answer requests; leave sending to another process.")
@click.option("--engine-only", is_flag=True, help="Send messages and do what falls due; answer no requests.")
@click.pass_obj
def serve(start: Start, *, http_only: bool, engine_only: bool) -> None:
    """Runs Tocsin: takes events, keeps alerts, tells people. Ends on SIGTERM or Ctrl+C."""
    if http_only and engine_only:
        raise click.UsageError("--http-only and --engine-only exclude each other: leave both away to run everything in one process")
    from tocsin.cli import serve as work

    work.run(start, http=not engine_only, engine=not http_only)


@tocsin.command(epilog=example("tocsin demo", "tocsin demo --folder /tmp/demo --listen 127.0.0.1:8500 --new"))
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("demo-data"),
    show_default=True,
    help="Its data folder: a new one, or that of an earlier demonstration.",
)
@click.option("--listen", default="127.0.0.1:8400", show_default=True, help="Address and port.")
@click.option("--new", is_flag=True, help="Throw the earlier demonstration in this folder away and make another.")
@click.option("--seed", type=click.IntRange(0, 2**31), default=7, show_default=True, help="Another number makes another past.")
def demo(*, folder: Path, listen: str, new: bool, seed: int) -> None:
    """Shows Tocsin with a made-up hosting company: 90 days of it, and trouble that comes and goes. Sends nothing."""
    from tocsin.cli import demo as work

    work.run(folder, listen, seed, new=new)


@tocsin.command(epilog=example("tocsin version"))
@as_json
def version(*, as_json: bool) -> None:
    """The version of Tocsin, of its database schema and of Python."""
    from tocsin.cli.version import show_version

    show_version(as_json=as_json)


@tocsin.command(epilog=example("tocsin doctor", "tocsin doctor --json"))
@as_json
@click.pass_obj
def doctor(start: Start, *, as_json: bool) -> int:
    """Checks each part and names each fault with its cure. Exit code 1 if there is a fault."""
    from tocsin.cli.doctor import report

    return report.run(start, as_json=as_json)


# --- Keys and users ----------------------------------------------------------------------------------------------------


@tocsin.group(epilog=example("tocsin key add whmcs --scope ingest"))
def key() -> None:
    """API keys: what the bridge, the agents and your programs show at the door."""


@key.command("add", epilog=example("tocsin key add whmcs --scope ingest --site acme", "tocsin key add grafana --scope read --expires 90d"))
@click.argument("name")
@click.option("--scope", "scopes", required=True, help="What it may do: ingest, read, write, admin; several with commas.")
@click.option("--site", help="Limits the key to one site; a new site is made.")
@click.option("--expires", help="When it ends, from now: 12h, 90d, 52w. Default: never.")
@as_json
@click.pass_obj
def key_add(start: Start, *, name: str, scopes: str, site: str | None, expires: str | None, as_json: bool) -> None:
    """Makes a key and prints it, alone, on standard output. It is shown this once."""
    from tocsin.cli import keys

    keys.add(start, name, scopes, site, expires, as_json=as_json)


@key.command("list", epilog=example("tocsin key list"))
@as_json
@click.pass_obj
def key_list(start: Start, *, as_json: bool) -> None:
    """All keys, the newest first, without their secrets."""
    from tocsin.cli import keys

    keys.show_keys(start, as_json=as_json)


@key.command("revoke", epilog=example("tocsin key revoke 0190a8f2-7c3e-7cc0-9d55-0d3f3b1f2a10"))
@click.argument("key_id", metavar="ID")
@click.pass_obj
def key_revoke(start: Start, *, key_id: str) -> None:
    """Ends a key. A running server refuses it within two seconds."""
    from tocsin.cli import keys

    keys.revoke(start, key_id)


@tocsin.group(epilog=example("tocsin user list"))
def user() -> None:
    """People with an account."""


@user.command(
    "add",
    epilog=example("tocsin user add marta@example.com --name 'Marta Weiss' --role admin --password-stdin < password.txt"),
)
@click.argument("email")
@click.option("--name", required=True, help="What others see.")
@click.option("--role", required=True, type=click.Choice(["admin", "responder", "viewer"]), help="What the person may do.")
@click.option(
    "--password-stdin",
    is_flag=True,
    required=True,
    help="Read the password from standard input: one line, at least 12 characters.",
)
@click.option("--site", "sites", multiple=True, help="Limits the person to this site; may be given several times.")
@click.option("--time-zone", default="UTC", show_default=True, help="Whose clock the person goes by, such as Europe/Berlin.")
@as_json
@click.pass_obj
def user_add(
    start: Start, *, email: str, name: str, role: str, password_stdin: bool, sites: tuple[str, ...], time_zone: str, as_json: bool
) -> None:
    """Makes a user. The password is read from standard input and from nowhere else."""
    from tocsin.cli import users

    if not password_stdin:
        raise click.UsageError("give --password-stdin and the password on standard input")
    users.add(start, email, name, role, sites, time_zone, as_json=as_json)


@user.command("reset", epilog=example("tocsin user reset marta@example.com", "tocsin user reset marta@example.com --second-factor"))
@click.argument("email")
@click.option("--second-factor", is_flag=True, help="Take the second factor away as well: phone and recovery codes are lost.")
@as_json
@click.pass_obj
def user_reset(start: Start, *, email: str, second_factor: bool, as_json: bool) -> None:
    """Prints a link, alone, on standard output, by which a person sets a new password. It works once, within an hour."""
    from tocsin.cli import users

    users.reset(start, email, second_factor=second_factor, as_json=as_json)


@user.command("list", epilog=example("tocsin user list"))
@as_json
@click.pass_obj
def user_list(start: Start, *, as_json: bool) -> None:
    """All users, by mail address."""
    from tocsin.cli import users

    users.show_users(start, as_json=as_json)


# --- Events, alerts, contacts ------------------------------------------------------------------------------------------


@tocsin.group(epilog=example("tocsin events tail --follow"))
def events() -> None:
    """What WHMCS, servers and others have reported."""


@events.command("tail", epilog=example("tocsin events tail --follow --site acme", "tocsin events tail --type invoice. --lines 100 --json"))
@click.option("--follow", "-f", is_flag=True, help="Go on with each new event until Ctrl+C.")
@click.option("--lines", "-n", type=click.IntRange(0, 10_000), default=20, show_default=True, help="How many of the past.")
@click.option("--site", help="Only this site.")
@click.option("--type", "kind", help="Only this type; with a dot at the end, all that begin so: invoice.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")
@click.pass_obj
def events_tail(start: Start, *, follow: bool, lines: int, site: str | None, kind: str | None, as_json: bool) -> None:
    """The newest events, the oldest of them first."""
    from tocsin.cli import events as work

    work.tail(start, work.Filter(site, kind), lines, follow=follow, as_json=as_json)


@tocsin.group(epilog=example("tocsin alerts list", "tocsin alerts ack 12 --note 'on it'"))
def alerts() -> None:
    """Problems: which there are, and who has them."""


@alerts.command("list", epilog=example("tocsin alerts list --status open,acknowledged --site acme"))
@click.option("--status", help=f"Only these, several with commas: {', '.join(STATUSES)}. Default: all but resolved.")
@click.option("--site", help="Only this site.")
@click.option("--severity-min", type=SEVERITIES, default=1, help="Only from this severity, 1 to 5.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True, help="At most so many.")
@as_json
@click.pass_obj
def alerts_list(start: Start, *, status: str | None, site: str | None, severity_min: int, limit: int, as_json: bool) -> None:
    """Alerts, the loudest first."""
    from tocsin.cli import alerts as work

    wanted = work.Wanted(work.read_statuses(status), site, severity_min, limit)
    work.show_alerts(start, wanted, as_json=as_json)


@alerts.command("ack", epilog=example("tocsin alerts ack 12 --note 'on it'"))
@click.argument("which", metavar="NUMBER_OR_ID")
@click.option("--note", help="Why, for the history.")
@as_json
@click.pass_obj
def alerts_ack(start: Start, *, which: str, note: str | None, as_json: bool) -> None:
    """Acknowledges an alert: you have it, and nobody is told again for now."""
    from tocsin.cli import alerts as work

    work.acknowledge(start, which, note, as_json=as_json)


@alerts.command("escalate", epilog=example("tocsin alerts escalate 12", "tocsin alerts escalate 12 --from-level 0"))
@click.argument("which", metavar="NUMBER_OR_ID")
@click.option("--from-level", type=click.IntRange(-1, 10_000), help="The level that you saw: if it has changed since, nothing is done.")
@as_json
@click.pass_obj
def alerts_escalate(start: Start, *, which: str, from_level: int | None, as_json: bool) -> None:
    """Has the next level of an alert's policy told now."""
    from tocsin.cli import alerts as work

    work.escalate(start, which, from_level, as_json=as_json)


@alerts.command("resolve", epilog=example("tocsin alerts resolve 12 --note 'gateway works again'"))
@click.argument("which", metavar="NUMBER_OR_ID")
@click.option("--note", help="What it was, for the history.")
@as_json
@click.pass_obj
def alerts_resolve(start: Start, *, which: str, note: str | None, as_json: bool) -> None:
    """Resolves an alert: it is over."""
    from tocsin.cli import alerts as work

    work.resolve(start, which, note, as_json=as_json)


@alerts.command("why", epilog=example("tocsin alerts why 12", "tocsin alerts why 12 --user marta@example.com --json"))
@click.argument("which", metavar="NUMBER_OR_ID")
@click.option("--user", metavar="EMAIL", help="Only about this person.")
@as_json
@click.pass_obj
def alerts_why(start: Start, *, which: str, user: str | None, as_json: bool) -> None:
    """Why people were told of an alert, or were not."""
    from tocsin.cli import alerts as work

    work.show_why(start, which, user, as_json=as_json)


@tocsin.group(epilog=example("tocsin thresholds list", "tocsin thresholds set disk_percent --host web01 --warning 90 --critical 97"))
def thresholds() -> None:
    """When a measured value is a problem."""


@thresholds.command("list", epilog=example("tocsin thresholds list --json"))
@as_json
@click.pass_obj
def thresholds_list(start: Start, *, as_json: bool) -> None:
    """All thresholds: those that people made, then those of the settings."""
    from tocsin.cli import thresholds as work

    work.show_thresholds(start, as_json=as_json)


@thresholds.command(
    "set",
    epilog=example(
        "tocsin thresholds set disk_percent --host web01 --label mount=/var --warning 90 --critical 97",
        "tocsin thresholds set whmcs_orders_pending --site acme --warning 50 --for 30m",
    ),
)
@click.argument("metric")
@click.option("--site", help="Only of this site.")
@click.option("--host", help="Only of this host.")
@click.option("--label", "labels", multiple=True, help="NAME=VALUE; a series must have all that are named.")
@click.option("--below", is_flag=True, help="Small values are the problem.")
@click.option("--warning", type=float, help="From this value on: severity 3.")
@click.option("--critical", type=float, help="From this value on: severity 4.")
@click.option("--clear", type=float, help="Behind this value it is over. Default: a twentieth of the limit behind it.")
@click.option("--for", "lasts", help="So long must values stay beyond a limit: 5m, 1h.")
@click.option("--missing", help="After so long without a value that is told, too: 10m.")
@as_json
@click.pass_obj
def thresholds_set(start: Start, /, *, as_json: bool, **said: Any) -> None:
    """Makes a threshold, or changes the one for the very same, and prints its id."""
    from tocsin.cli import thresholds as work

    work.set_threshold(start, work.Wanted(**said), as_json=as_json)


@thresholds.command("remove", epilog=example("tocsin thresholds remove 0190a8f2-7c3e-7cc0-9d55-0d3f3b1f2a10"))
@click.argument("threshold_id", metavar="ID")
@as_json
@click.pass_obj
def thresholds_remove(start: Start, *, threshold_id: str, as_json: bool) -> None:
    """Removes a threshold. What it told is resolved; the next value is judged by what holds instead."""
    from tocsin.cli import thresholds as work

    work.remove(start, threshold_id, as_json=as_json)


@tocsin.group(epilog=example("tocsin rules list", "tocsin rules export > rules.json", "tocsin rules backtest rules.json"))
def rules() -> None:
    """What is decided about events before they become alerts."""


@rules.command("list", epilog=example("tocsin rules list --json"))
@as_json
@click.pass_obj
def rules_list(start: Start, *, as_json: bool) -> None:
    """All rules, in the order in which they are asked."""
    from tocsin.cli import event_rules as work

    work.show_rules(start, as_json=as_json)


@rules.command("show", epilog=example("tocsin rules show 3", "tocsin rules show 'Nights are quieter'"))
@click.argument("which", metavar="NUMBER_OR_NAME")
@as_json
@click.pass_obj
def rules_show(start: Start, *, which: str, as_json: bool) -> None:
    """One rule, by its place in the list, its name or its id."""
    from tocsin.cli import event_rules as work

    work.show_rule(start, which, as_json=as_json)


@rules.command(
    "try", epilog=example("""tocsin rules try '{"type": "disk.full", "host": "web-1", "severity": 4}'""", "tocsin rules try @event.json")
)
@click.argument("event")
@as_json
@click.pass_obj
def rules_try(start: Start, *, event: str, as_json: bool) -> None:
    """What would become of an event (JSON, @FILE, or - for the standard input), and what each rule says to it. Changes nothing."""
    from tocsin.cli import event_rules as work

    work.try_event(start, event, as_json=as_json)


@rules.command("backtest", epilog=example("tocsin rules backtest rules.json", "tocsin rules backtest --without 3 --days 7"))
@click.argument("file", required=False)
@click.option("--without", metavar="NUMBER_OR_NAME", help="The rules that hold, without this one.")
@click.option("--days", type=int, default=30, show_default=True, help="How many of the last days.")
@as_json
@click.pass_obj
def rules_backtest(start: Start, *, file: str | None, without: str | None, days: int, as_json: bool) -> None:
    """How often people would have been told in the last days: under the rules of FILE instead of those that hold."""
    from tocsin.cli import event_rules as work

    work.backtest(start, file, without, days, as_json=as_json)


@rules.command("export", epilog=example("tocsin rules export > rules.json"))
@as_json
@click.pass_obj
def rules_export(start: Start, *, as_json: bool) -> None:
    """All rules as JSON, for a file that is kept beside other settings, or for another installation."""
    from tocsin.cli import event_rules as work

    work.export(start, as_json=as_json)


@rules.command("import", epilog=example("tocsin rules import rules.json", "tocsin rules import --alone rules.json"))
@click.argument("file")
@click.option("--alone", is_flag=True, help="Remove the rules that are not in the file.")
@as_json
@click.pass_obj
def rules_import(start: Start, *, file: str, alone: bool, as_json: bool) -> None:
    """Has the rules of FILE hold, in its order and before all others. One of the same name is changed; all or nothing."""
    from tocsin.cli import event_rules as work

    work.bring_in(start, file, alone=alone, as_json=as_json)


@tocsin.group(epilog=example("tocsin silence add --match host=web-1 --for 2h --comment 'disk swap'", "tocsin silence list"))
def silence() -> None:
    """What is kept quiet for a while. Maintenance and dependencies are made over the API."""


@silence.command(
    "add",
    epilog=example(
        "tocsin silence add --match host=web-1 --for 2h --comment 'disk swap'",
        "tocsin silence add -m site=acme -m 'severity~[1-3]' --until 2026-05-02T07:00Z --comment 'night: only what is loud'",
    ),
)
@click.option(
    "--match",
    "-m",
    "texts",
    multiple=True,
    required=True,
    help="FIELD=VALUE, FIELD!=VALUE, FIELD^START, FIELD~EXPRESSION or FIELD>=NUMBER; all must match. Fields: site, type, severity, "
    "host, subject, attributes.NAME.",
)
@click.option("--for", "length", help="How long, from now: 30m, 2h, 1d; at most 90d.")
@click.option("--until", help="Until when, such as 2026-05-02T04:00Z; in UTC unless it names an offset.")
@click.option("--comment", required=True, help="Why, for those who wonder why it is quiet.")
@as_json
@click.pass_obj
def silence_add(start: Start, *, texts: tuple[str, ...], length: str | None, until: str | None, comment: str, as_json: bool) -> None:
    """Keeps what matches quiet, and prints the silence's id. What is still open when it ends pages at once."""
    from tocsin.cli import silences as work

    work.add(start, texts, length, until, comment, as_json=as_json)


@silence.command("list", epilog=example("tocsin silence list", "tocsin silence list --ended --json"))
@click.option("--ended", is_flag=True, help="Also those that have ended.")
@as_json
@click.pass_obj
def silence_list(start: Start, *, ended: bool, as_json: bool) -> None:
    """The silences that are open or planned, the newest first."""
    from tocsin.cli import silences as work

    work.show_silences(start, ended=ended, as_json=as_json)


@silence.command("end", epilog=example("tocsin silence end 0190a8f2-7c3e-7cc0-9d55-0d3f3b1f2a10"))
@click.argument("silence_id", metavar="ID")
@as_json
@click.pass_obj
def silence_end(start: Start, *, silence_id: str, as_json: bool) -> None:
    """Ends a silence now. What is still open pages at once."""
    from tocsin.cli import silences as work

    work.end(start, silence_id, as_json=as_json)


@tocsin.group(epilog=example("tocsin checks add Shop https://www.example.com/", "tocsin checks list"))
def checks() -> None:
    """What is asked from outside: websites, ports, certificates, names, mail servers, databases."""


@checks.command("list", epilog=example("tocsin checks list", "tocsin checks list --site acme --json"))
@click.option("--site", help="Only this site.")
@as_json
@click.pass_obj
def checks_list(start: Start, *, site: str | None, as_json: bool) -> None:
    """All checks by name, and where each stands."""
    from tocsin.cli import checks as work

    work.show_checks(start, site, as_json=as_json)


@checks.command(
    "add",
    epilog=example(
        "tocsin checks add Shop https://www.example.com/ --keyword 'Add to cart'",
        "tocsin checks add 'Mail certificate' tls://mail.example.com:993 --interval 3600",
        "tocsin checks add Shop https://www.example.com/ --from server --from web-1 --from web-2 --agree 2",
    ),
)
@click.argument("name")
@click.argument("target")
@click.option("--site", default="main", show_default=True, help="The site that it belongs to.")
@click.option("--interval", type=click.IntRange(10, 86_400), default=60, show_default=True, help="Seconds from one look to the next.")
@click.option("--keyword", help="What a web page, or a greeting, must say.")
@click.option("--group", help="What it belongs to, for lists and figures.")
@click.option("--private", is_flag=True, help="It may go to private addresses: servers of one's own network.")
@click.option("--from", "locations", metavar="LOCATION", multiple=True, help="From where: `server`, or a host with an agent. Repeatable.")
@click.option("--agree", type=click.IntRange(1, 20), help="So many locations must find that it fails. Default: more than half.")
@as_json
@click.pass_obj
def checks_add(
    start: Start,
    *,
    name: str,
    target: str,
    site: str,
    interval: int,
    keyword: str | None,
    group: str | None,
    private: bool,
    locations: tuple[str, ...],
    agree: int | None,
    as_json: bool,
) -> None:
    """Makes a check and prints its id.

    TARGET is an address: https:// or http://, tcp://HOST:PORT, tls://HOST, ping://HOST, dns://NAME, domain://NAME, or the greeting
    of smtp://, imap://, pop3://, ftp:// or ssh://HOST.
    """
    from tocsin.cli import checks as work

    where = work.From(locations, agree, private)
    work.add(start, name, target, site, interval, keyword, group, where, as_json=as_json)


@checks.command("run", epilog=example("tocsin checks run Shop", "tocsin checks run Shop --json"))
@click.argument("which", metavar="NAME_OR_ID")
@as_json
@click.pass_obj
def checks_run(start: Start, *, which: str, as_json: bool) -> int:
    """Looks now, and shows what was done, what was found and how long each part took. Exit code 1 unless all is well."""
    from tocsin.cli import checks as work

    return work.run(start, which, as_json=as_json)


@tocsin.command("test-alert", epilog=example("tocsin test-alert", "tocsin test-alert --severity 5 --wait 60"))
@click.option("--severity", type=SEVERITIES, default=4, show_default=True, help="How loud, 1 to 5.")
@click.option("--site", default="main", show_default=True, help="The site that it is about.")
@click.option("--wait", "seconds", type=click.IntRange(0, 3600), default=30, show_default=True, help="Seconds to wait for the messages.")
@as_json
@click.pass_obj
def test_alert(start: Start, *, severity: int, site: str, seconds: int, as_json: bool) -> int:
    """Opens a test alert and says who got it, or why not. Exit code 1 unless everybody got it."""
    from tocsin.cli import test_alert as work

    return work.run(start, severity, site, seconds, as_json=as_json)


@tocsin.group()
def history() -> None:
    """What was measured: series, curves, samples."""


_which_series = (
    click.option("--site", metavar="SLUG", help="Of this site."),
    click.option("--host", metavar="NAME", help="Of this host."),
    click.option("--labels", metavar="NAME=VALUE,...", help="With these labels, such as mount=/var."),
)
_which_time = (
    click.option("--from", "since", metavar="TIME", help="From this moment on, with a zone. Default: a day before the end."),
    click.option("--to", "until", metavar="TIME", help="Before this moment. Default: now."),
)


def _options(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Several options at once, in this order."""

    def add(function: Command) -> Command:
        for option in reversed(options):
            function = option(function)
        return function

    return add


@history.command("series", epilog=example("tocsin history series --host web1", "tocsin history series --name disk_percent --json"))
@click.option("--name", metavar="METRIC", help="Of this name.")
@_options(*_which_series)
@as_json
@click.pass_obj
def history_series(start: Start, /, *, as_json: bool, **which: str | None) -> None:
    """Lists what is measured, and the newest values."""
    from tocsin.cli import history as work

    work.show_series(start, which, as_json=as_json)


@history.command(
    "query", epilog=example("tocsin history query cpu_percent --host web1 --step 1h", "tocsin history query load_1m --agg max")
)
@click.argument("name", metavar="METRIC")
@_options(*_which_series, *_which_time)
@click.option("--step", metavar="LENGTH", help="How long each point lasts: 30s, 5m, 1h, 7d. Default: at most 100 points.")
@click.option(
    "--agg",
    type=click.Choice(["avg", "min", "max", "sum", "count", "p50", "p95", "p99"]),
    default="avg",
    show_default=True,
    help="What is said of the samples of each step.",
)
@as_json
@click.pass_obj
def history_query(start: Start, /, *, step: str | None, agg: str, as_json: bool, **which: str | None) -> None:
    """What some series were like over a time."""
    from tocsin.cli import history as work

    work.show_curves(start, which, step, agg, as_json=as_json)


_FROM = "tocsin history export --from 2026-01-01T00:00:00Z"


@history.command("export", epilog=example(f"{_FROM} > metrics.csv", f"{_FROM} --parquet metrics.parquet"))
@click.option("--name", metavar="METRIC", help="Of this name.")
@_options(*_which_series, *_which_time)
@click.option(
    "--parquet",
    "into",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    metavar="FILE",
    help="Into this file as Parquet, which pandas, DuckDB and Spark read.",
)
@as_json
@click.pass_obj
def history_export(start: Start, /, *, into: Path | None, as_json: bool, **which: str | None) -> None:
    """Writes samples as CSV, any number; with --json one object a line."""
    from tocsin.cli import history as work

    if into is not None:
        work.export_parquet(start, which, into)
    else:
        work.export(start, which, as_json=as_json)


@history.command("remove", epilog=example("tocsin history remove requests_total --host web1 --yes"))
@click.argument("name", metavar="METRIC", required=False)
@_options(*_which_series)
@click.option("--yes", "is_sure", is_flag=True, help="Do it. Without this it is only said what would go.")
@as_json
@click.pass_obj
def history_remove(start: Start, /, *, is_sure: bool, as_json: bool, **which: str | None) -> None:
    """Removes series with all that was measured of them: of a metric, of a host, or of both."""
    from tocsin.cli import history as work

    work.remove(start, which, is_sure=is_sure, as_json=as_json)


@tocsin.command(epilog=example("tocsin oncall", "tocsin oncall --at 2026-12-24T18:00:00+01:00 --json"))
@click.option("--at", metavar="TIME", help="At this moment, with a zone. Default: now.")
@as_json
@click.pass_obj
def oncall(start: Start, *, at: str | None, as_json: bool) -> None:
    """Who is on call, schedule by schedule, and until when."""
    from tocsin.cli.oncall import show_on_call

    show_on_call(start, at, as_json=as_json)


_ASKED = "--give anna@example.com=2026-01-08T09:00Z/2026-01-09T09:00Z --take ben@example.com=2026-01-15T09:00Z/2026-01-16T09:00Z"


@tocsin.group(epilog=example("tocsin swap list", f"tocsin swap ask 'First line' {_ASKED}"))
def swap() -> None:
    """Watches that one person asks another to swap."""


@swap.command("list", epilog=example("tocsin swap list", "tocsin swap list --all --json"))
@click.option("--all", "every", is_flag=True, help="Those that were answered or have expired as well.")
@as_json
@click.pass_obj
def swap_list(start: Start, *, every: bool, as_json: bool) -> None:
    """The swaps that wait for an answer, schedule by schedule."""
    from tocsin.cli import swaps as work

    work.show_swaps(start, every=every, as_json=as_json)


@swap.command("ask", epilog=example(f"tocsin swap ask 'First line' {_ASKED} --note 'A wedding.'"))
@click.argument("schedule")
@click.option("--give", required=True, metavar="PERSON=FROM/UNTIL", help="Who asks, and the watch that they give away.")
@click.option("--take", required=True, metavar="PERSON=FROM/UNTIL", help="Who is asked, and the watch that is wanted for it.")
@click.option("--note", default="", metavar="TEXT", help="Why, for who is asked.")
@as_json
@click.pass_obj
def swap_ask(start: Start, *, schedule: str, give: str, take: str, note: str, as_json: bool) -> None:
    """Asks somebody to swap, and prints the question's id. Nothing changes before they accept."""
    from tocsin.cli import swaps as work

    work.ask(start, schedule, give, take, note, as_json=as_json)


@swap.command("accept", epilog=example("tocsin swap accept 0190a8f2-7c3e-7cc0-9d55-0d3f3b1f2a10"))
@click.argument("swap_id", metavar="ID")
@as_json
@click.pass_obj
def swap_accept(start: Start, *, swap_id: str, as_json: bool) -> None:
    """Accepts in the name of who was asked: each has the watch of the other from then on, and both are told."""
    from tocsin.cli import swaps as work
    from tocsin.oncall.model import Answer

    work.answer(start, swap_id, Answer.ACCEPTED, as_json=as_json)


@swap.command("refuse", epilog=example("tocsin swap refuse 0190a8f2-7c3e-7cc0-9d55-0d3f3b1f2a10"))
@click.argument("swap_id", metavar="ID")
@as_json
@click.pass_obj
def swap_refuse(start: Start, *, swap_id: str, as_json: bool) -> None:
    """Refuses in the name of who was asked: everything stays as it is, and who asked is told."""
    from tocsin.cli import swaps as work
    from tocsin.oncall.model import Answer

    work.answer(start, swap_id, Answer.REFUSED, as_json=as_json)


@swap.command("withdraw", epilog=example("tocsin swap withdraw 0190a8f2-7c3e-7cc0-9d55-0d3f3b1f2a10"))
@click.argument("swap_id", metavar="ID")
@as_json
@click.pass_obj
def swap_withdraw(start: Start, *, swap_id: str, as_json: bool) -> None:
    """Takes the question back in the name of who asked."""
    from tocsin.cli import swaps as work
    from tocsin.oncall.model import Answer

    work.answer(start, swap_id, Answer.WITHDRAWN, as_json=as_json)


@tocsin.command(epilog=example("tocsin availability", "tocsin availability --days 90 --by group --json"))
@click.option("--days", type=click.IntRange(1, 1_100), default=30, show_default=True, help="How many days back.")
@click.option("--by", type=click.Choice(["check", "host", "site", "group"]), default="check", show_default=True, help="One line for each.")
@click.option("--site", help="Only this site.")
@as_json
@click.pass_obj
def availability(start: Start, *, days: int, by: Literal["check", "host", "site", "group"], site: str | None, as_json: bool) -> None:
    """How much of the last days things were up, by time; and how much of what was promised is left."""
    from tocsin.cli.availability import show_availability

    show_availability(start, days, by, site, as_json=as_json)


@tocsin.command(epilog=example("tocsin report", "tocsin report --days 30 --time-zone Europe/Berlin --json"))
@click.option("--days", type=click.IntRange(1, 366), default=7, show_default=True, help="How many days back.")
@click.option("--time-zone", default="UTC", show_default=True, help="Whose clock the hours and weekdays are of.")
@as_json
@click.pass_obj
def report(start: Start, *, days: int, time_zone: str, as_json: bool) -> None:
    """How quickly people answered, how long problems lasted, what was noisy and whom it woke."""
    from tocsin.cli.report import show_report

    show_report(start, days, time_zone, as_json=as_json)


@tocsin.group(
    epilog=example("tocsin heartbeats add 'Backup of db-1' --cron '30 2 * * *' --time-zone Europe/Berlin", "tocsin heartbeats list")
)
def heartbeats() -> None:
    """Jobs that report when they run: who stays away is told."""


@heartbeats.command(
    "add",
    epilog=example(
        "tocsin heartbeats add 'WHMCS cron' --every 5m --grace 10m",
        "tocsin heartbeats add 'Backup of db-1' --cron '30 2 * * *' --time-zone Europe/Berlin --longest-run 2h",
    ),
)
@click.argument("name")
@click.option("--every", help="How often it runs: 5m, 1h, 1d, 1w.")
@click.option("--cron", help="When it runs, in five fields: minute, hour, day of the month, month, day of the week.")
@click.option("--time-zone", default="UTC", show_default=True, help="Whose clock --cron goes by, such as Europe/Berlin.")
@click.option("--grace", default="5m", show_default=True, help="How late it may be.")
@click.option("--longest-run", help="How long a run may take that reports its start. Default: however long.")
@click.option("--severity", type=SEVERITIES, default=3, show_default=True, help="Of its alerts, 1 to 5.")
@click.option("--site", default="main", show_default=True, help="The site that it belongs to.")
@as_json
@click.pass_obj
def heartbeats_add(
    start: Start,
    *,
    name: str,
    every: str | None,
    cron: str | None,
    time_zone: str,
    grace: str,
    longest_run: str | None,
    severity: int,
    site: str,
    as_json: bool,
) -> None:
    """Has a job watched, and prints the address that it calls, alone, on standard output. It is shown this once."""
    from tocsin.cli import heartbeats as work

    work.add(start, work.Asked(name, site, every, cron, time_zone, grace, longest_run, severity), as_json=as_json)


@heartbeats.command("list", epilog=example("tocsin heartbeats list"))
@as_json
@click.pass_obj
def heartbeats_list(start: Start, *, as_json: bool) -> None:
    """All heartbeats, and how they stand."""
    from tocsin.cli import heartbeats as work

    work.show_heartbeats(start, as_json=as_json)


@tocsin.group(epilog=example("tocsin exporters add http://web01.example.com:9100/metrics", "tocsin exporters list"))
def exporters() -> None:
    """Exporters of Prometheus that Tocsin asks itself."""


_exporter = (
    click.argument("url", metavar="ADDRESS"),
    click.option("--name", default="node_exporter", show_default=True, help="What kind it is."),
    click.option("--site", default="main", show_default=True, help="The site that it belongs to."),
    click.option("--host", help="Whose values it shows. Default: the host of the address."),
    click.option("--interval", type=click.IntRange(10, 3_600), default=60, show_default=True, help="Seconds from one look to the next."),
    click.option("--token-stdin", "with_token", is_flag=True, help="Send the first line of standard input as its bearer token."),
    click.option("--keep-all", is_flag=True, help="Also keep what is turned into our names, under its own."),
)


@exporters.command(
    "add",
    epilog=example(
        "tocsin exporters add http://web01.example.com:9100/metrics",
        "tocsin exporters add https://db1.example.com/metrics --name mysqld_exporter --token-stdin < token.txt",
    ),
)
@_options(*_exporter)
@as_json
@click.pass_obj
def exporters_add(start: Start, /, *, as_json: bool, **asked: Any) -> None:
    """Has an exporter asked from now on, and prints its id, alone, on standard output."""
    from tocsin.cli import exporters as work

    work.add(start, work.Asked(**asked), as_json=as_json)


@exporters.command("list", epilog=example("tocsin exporters list"))
@as_json
@click.pass_obj
def exporters_list(start: Start, *, as_json: bool) -> None:
    """All exporters, the newest first, and how each answered last."""
    from tocsin.cli import exporters as work

    work.show_exporters(start, as_json=as_json)


@exporters.command("test", epilog=example("tocsin exporters test http://web01.example.com:9100/metrics"))
@_options(*_exporter)
@as_json
@click.pass_obj
def exporters_test(start: Start, /, *, as_json: bool, **asked: Any) -> int:
    """Asks an exporter once, and says what it shows; nothing is kept. Exit code 1 if it shows nothing."""
    from tocsin.cli import exporters as work

    return work.test(start, work.Asked(**asked), as_json=as_json)


@exporters.command("remove", epilog=example("tocsin exporters remove http://web01.example.com:9100/metrics"))
@click.argument("which", metavar="ID_OR_ADDRESS")
@as_json
@click.pass_obj
def exporters_remove(start: Start, *, which: str, as_json: bool) -> None:
    """Stops asking an exporter; what it showed is kept, and its alert is resolved."""
    from tocsin.cli import exporters as work

    work.remove(start, which, as_json=as_json)


@tocsin.group(epilog=example("tocsin whmcs list", "tocsin whmcs test main"))
def whmcs() -> None:
    """How WHMCS of each site is reached."""


@whmcs.command("add", epilog=example("tocsin whmcs add https://billing.example.com --identifier kX7 --secret-stdin < secret.txt"))
@click.argument("url", metavar="ADDRESS")
@click.option("--identifier", required=True, help="Of the API credentials.")
@click.option("--secret-stdin", is_flag=True, help="The secret is the first line of standard input: an argument would be seen.")
@click.option("--site", default="main", show_default=True, help="Whose WHMCS it is.")
@as_json
@click.pass_obj
def whmcs_add(start: Start, *, url: str, identifier: str, secret_stdin: bool, site: str, as_json: bool) -> None:
    """Says how WHMCS of a site is reached, in the place of what was said before or stands in the settings."""
    from tocsin.cli import whmcs as work

    if not secret_stdin:
        raise click.UsageError("give --secret-stdin and the secret on standard input")
    work.add(start, url, site, identifier, as_json=as_json)


@whmcs.command("list", epilog=example("tocsin whmcs list"))
@as_json
@click.pass_obj
def whmcs_list(start: Start, *, as_json: bool) -> None:
    """The sites whose WHMCS is asked, its version and what was wrong the last time."""
    from tocsin.cli import whmcs as work

    work.show_connections(start, as_json=as_json)


@whmcs.command("test", epilog=example("tocsin whmcs test main"))
@click.argument("site")
@as_json
@click.pass_obj
def whmcs_test(start: Start, *, site: str, as_json: bool) -> int:
    """Asks WHMCS of a site each of our questions once. Exit code 1 if it does not answer, with what to change where."""
    from tocsin.cli import whmcs as work

    return work.test(start, site, as_json=as_json)


@whmcs.command("remove", epilog=example("tocsin whmcs remove acme"))
@click.argument("site")
@as_json
@click.pass_obj
def whmcs_remove(start: Start, *, site: str, as_json: bool) -> None:
    """Forgets how WHMCS of a site is reached; what stands in the settings counts again."""
    from tocsin.cli import whmcs as work

    work.remove(start, site, as_json=as_json)


@tocsin.group(epilog=example("tocsin hosts list", "tocsin hosts token"))
def hosts() -> None:
    """Servers that an agent reports for."""


@hosts.command("list", epilog=example("tocsin hosts list"))
@as_json
@click.pass_obj
def hosts_list(start: Start, *, as_json: bool) -> None:
    """All hosts by name, and when each was last heard of."""
    from tocsin.cli import hosts as work

    work.show_hosts(start, as_json=as_json)


@hosts.command("token", epilog=example("tocsin hosts token", "tocsin hosts token --site acme"))
@click.option("--site", default="main", show_default=True, help="The site that the new server belongs to.")
@as_json
@click.pass_obj
def hosts_token(start: Start, *, site: str, as_json: bool) -> None:
    """Prints a token, alone, on standard output, with which one new server fetches a key of its own within an hour."""
    from tocsin.cli import hosts as work

    work.token(start, site, as_json=as_json)


@tocsin.command(
    epilog=example(
        "tocsin agent --server https://alarm.example.com --key-file /etc/tocsin-agent.key",
        "tocsin agent --server https://alarm.example.com --once",
    ),
    context_settings={"ignore_unknown_options": True},
)
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[OPTIONS]")
def agent(*, words: tuple[str, ...]) -> None:
    """Runs the server agent: reads how this server is and pushes it to Tocsin. Its own options: `tocsin agent -- --help`."""
    from tocsin.cli import agent as work

    work.run(words)


@tocsin.group(epilog=example("tocsin contacts list"))
def contacts() -> None:
    """Who can be told."""


@contacts.command("list", epilog=example("tocsin contacts list"))
@as_json
@click.pass_obj
def contacts_list(start: Start, *, as_json: bool) -> None:
    """All contacts, and whether messages go to them."""
    from tocsin.cli.contacts import show_contacts

    show_contacts(start, as_json=as_json)


@contacts.command(
    "add",
    epilog=example(
        "tocsin contacts add marta@example.com sms +4915123456789",
        "tocsin contacts add marta@example.com apprise - --label 'Pushover' < address.txt",
    ),
)
@click.argument("email", metavar="EMAIL")
@click.argument("kind", metavar="KIND")
@click.argument("target", metavar="TARGET")
@click.option("--label", default="", help="What the person calls it.")
@as_json
@click.pass_obj
def contacts_add(start: Start, *, email: str, kind: str, target: str, label: str, as_json: bool) -> None:
    """Gives a person a contact without a code: you answer for it. TARGET - is read from standard input."""
    from tocsin.cli import contacts as work

    work.add(start, email, kind, target, label, as_json=as_json)


# --- The audit log ----------------------------------------------------------------------------------------------------


@tocsin.group(epilog=example("tocsin audit verify"))
def audit() -> None:
    """Who did what, and what was refused."""


@audit.command("verify", epilog=example("tocsin audit verify", "tocsin audit verify --head 1204:9f86d081884c7d65..."))
@click.option("--head", help="A head that was printed earlier: is that entry still the same?")
@as_json
@click.pass_obj
def audit_verify(start: Start, *, head: str | None, as_json: bool) -> int:
    """Walks the whole chain and names the first link that somebody broke. Exit code 1 if there is one.

    Changes nothing, and works while the server runs.
    """
    from tocsin.cli import audit as work

    return work.verify(start, head, as_json=as_json)


# --- The database ------------------------------------------------------------------------------------------------------


@tocsin.group(epilog=example("tocsin db check"))
def db() -> None:
    """Care for the database."""


@db.command("upgrade", epilog=example("tocsin db upgrade"))
@as_json
@click.pass_obj
def db_upgrade(start: Start, *, as_json: bool) -> None:
    """Makes the database, or brings it to the schema of this release. Doing it twice does no harm."""
    from tocsin.cli import database

    database.upgrade(start, as_json=as_json)


@db.command("check", epilog=example("tocsin db check", "tocsin db check --json"))
@as_json
@click.pass_obj
def db_check(start: Start, *, as_json: bool) -> int:
    """Reads the whole database and checks that it is sound and keeps its promises.

    Changes nothing, and works while the server runs.
    """
    from tocsin.cli import database

    return database.check(start, as_json=as_json)
