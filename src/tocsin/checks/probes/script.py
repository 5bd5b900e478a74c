"""script: a program of one's own, in the one folder that is allowed. A list of arguments, no shell, a bare environment."""

import asyncio
import os
import signal
from contextlib import suppress
from pathlib import Path

from tocsin.checks.model import Cause, Finding, Level, ScriptTarget
from tocsin.checks.probes.kit import Kit
from tocsin.core.text import cut, one_line

MAX_OUTPUT = 16 * 1024
_LEVELS = {0: Level.OK, 1: Level.WARNING, 2: Level.FAILED}  # as plugins of Nagios end
_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}


async def probe(target: ScriptTarget, kit: Kit) -> Finding:
    """Runs it; what it still runs when its time is over is killed with all that it has started."""
    path = allowed(kit.means.scripts, target.script)
    if path is None:
        folder = kit.means.scripts
        words = f"{target.script} is no program in {folder}" if folder else "no folder of scripts is allowed: set TOCSIN_SCRIPTS_DIR"
        return kit.found(None, Cause.OUR_RULES, words)
    with kit.trace.phase("script"):
        kit.trace.note(f"runs {path.name}")
        try:
            process = await asyncio.create_subprocess_exec(
                path,
                *target.arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                env=_ENVIRONMENT,
                cwd=path.parent,
                start_new_session=True,
            )
        except OSError as error:
            return kit.found(None, Cause.OUR_FAULT, f"{path.name} cannot be run: {error.strerror}")
        try:
            output = await _output(process)
            code = await process.wait()
        finally:
            await _end(process)
    kit.trace.note(f"ended with {code}")
    return _judged(code, output, kit)


def allowed(folder: Path | None, name: str) -> Path | None:
    """The program, if it lies in the folder itself and not only seems to."""
    if folder is None:
        return None
    path = folder / name
    if path.is_symlink() or not path.is_file() or not os.access(path, os.X_OK):
        return None
    return path


async def _output(process: asyncio.subprocess.Process) -> bytes:
    """What it says, to the limit; the rest is taken and thrown away, so that it can end."""
    output = b""
    while process.stdout is not None and (part := await process.stdout.read(4_096)):
        output += part[: MAX_OUTPUT - len(output)]
    return output


async def _end(process: asyncio.subprocess.Process) -> None:
    """Kills what still runs of it, and closes the pipe, which what has fled its group may still hold."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()
    process._transport.close()  # type: ignore[attr-defined]  # noqa: SLF001 - there is no other way to close it


def _judged(code: int, output: bytes, kit: Kit) -> Finding:
    text = output.decode("utf-8", "replace").replace("\0", "\ufffd")
    first = cut(one_line(text.partition("\n")[0].partition("|")[0]), 300) or f"it ended with {code} and said nothing"
    evidence = {"exit_code": code, "output": text[:4_096]}
    kit.trace.heard = True
    level = _LEVELS.get(code)
    if level is Level.OK:
        return kit.fine(first, evidence)
    words = first if code <= 3 else f"it ended with {code}: {first}"
    return kit.found(level, Cause.SCRIPT, words, evidence)
