"""`tocsin demo`: a made-up hosting company in a data folder of its own. None of this machine's settings are read."""

import secrets
import shutil
import sys
from contextlib import closing
from pathlib import Path

import click

from tocsin.bootstrap import build_core
from tocsin.cli import logs, serve
from tocsin.cli.output import say
from tocsin.cli.start import understood
from tocsin.core.clock import DAY, SystemClock
from tocsin.core.errors import Conflict
from tocsin.core.times import in_words
from tocsin.demo import company, history, live, sink
from tocsin.identity import people, store
from tocsin.identity.passwords import hashed
from tocsin.settings import Settings, load

MADE = "demonstration"  # the file that tells the folder of a demonstration, written when it is whole; when it was made, and of which seed
UNFINISHED = "demonstration.unfinished"
STALE = DAY


def run(folder: Path, listen: str, seed: int, *, new: bool) -> None:
    """Makes the company, unless it is there, and serves it until a signal. Raises `Conflict` for a folder with other data."""
    settings = load({"TOCSIN_DATA_DIR": str(folder), "TOCSIN_LISTEN": listen})
    refuse_other_data(folder)
    serve.bound(settings).close()  # who cannot be served need not wait until everything is made
    if new and folder.exists():
        shutil.rmtree(folder)
    if not (folder / MADE).exists():
        shutil.rmtree(folder, ignore_errors=True)
        make(settings, seed)
    else:
        _say_age(folder)
    password = new_password(settings)
    say(f"\nLog in as {company.MARTA} with the password {password}")
    say(f"at {settings.public_url} (the password is for this run: the next start makes another)")
    say(f"Messages go nowhere: {folder / sink.MESSAGES} says what would have been sent.\n")
    machines = live.Machines(seed)
    both = serve.Parts(http=True, engine=True)
    serve.serve(settings, both, sink.channels(folder), lambda server: live.run(server, seed, machines), machines.look)


def refuse_other_data(folder: Path) -> None:
    """A demonstration is made in a folder of its own. Raises `Conflict`."""
    ours = (folder / MADE).exists() or (folder / UNFINISHED).exists()
    if folder.exists() and not ours and any(folder.iterdir()):
        raise Conflict(
            f"{folder.resolve()} holds other data, and a demonstration wants a folder of its own:"
            " give one that is empty or not there, such as --folder demo-data"
        )


def make(settings: Settings, seed: int, days: int = history.DAYS) -> None:
    """The company with its past, with a bar that shows how far it is."""
    logs.configure(settings.whmcs_env, quiet=True)
    folder, now = settings.data_dir, SystemClock().now()
    folder.mkdir(parents=True)
    (folder / UNFINISHED).touch()
    clock = history.TimeMachine(now - days * DAY)
    with understood(), closing(build_core(settings, clock)) as core:
        lived = history.live_through(core, clock, now, seed, days)
        with click.progressbar(lived, days, f"A hosting company lives through {days} days", file=sys.stderr) as shown:
            for _ in shown:
                pass
    (folder / UNFINISHED).rename(folder / MADE)
    (folder / MADE).write_text(f"{now} {seed}\n")


def _say_age(folder: Path) -> None:
    made_at = int((folder / MADE).read_text().split()[0])
    age = SystemClock().now() - made_at
    if age > STALE:
        say(f"This company was made {in_words(age)} ago and has stood still when it was not served: --new makes another, up to today.")


def new_password(settings: Settings) -> str:
    """A new password for the administrator of the company; logins from earlier runs end."""
    password = secrets.token_urlsafe(9)
    with understood(), closing(build_core(settings)) as core:
        now, its_hash = core.clock.now(), hashed(password)
        with core.database.read() as connection:
            boss = next(user for user in store.list_users(connection) if user.email == company.MARTA)
        core.writer.call(lambda tx: people.change_password(tx, company.BOSS, boss.id, its_hash, None, now))
    return password
