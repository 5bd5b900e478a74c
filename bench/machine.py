"""What the figures depend on: the machine and the versions of the programs."""

import os
import platform
import re
import shutil
import sqlite3
import subprocess
from importlib.metadata import version
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # it comes without types

from bench.noise import percentile
from tocsin.core.clock import monotonic

FLUSHES = 500
BLOCK = 4096
PACKAGES = ("uvicorn", "uvloop", "httptools", "litestar", "msgspec", "SQLAlchemy", "psycopg")


def facts(work: Path, postgres: Path | None) -> dict[str, str]:
    """Name and value, in the order in which they are shown. *work*: where the data of the runs lies."""
    p50, p99 = flush_ms(work)
    return {
        "Processor": f"{_cpu()}, {os.cpu_count()} cores",
        "Memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "Kernel": f"{platform.system()} {platform.release()}",
        "Disk": f"{_file_system(work)}; flush of {BLOCK // 1024} KiB (fdatasync) p50 {p50:.2f} ms, p99 {p99:.2f} ms",
        "Python": platform.python_version(),
        "Packages": ", ".join(f"{name} {version(name)}" for name in PACKAGES),
        "SQLite": sqlite3.sqlite_version,
        "PostgreSQL": _said(postgres / "postgres" if postgres else "postgres", "--version"),
        "Alertmanager": _said("prometheus-alertmanager", "--version"),
        "wrk": _said("wrk", "--version"),
        "PHP": _said("php", "--version"),
    }


def flush_ms(folder: Path) -> tuple[float, float]:
    """Milliseconds that writing and flushing one block takes, p50 and p99."""
    path = folder / "flush"
    times = []
    with path.open("wb", buffering=0) as file:
        for _ in range(FLUSHES):
            begun = monotonic()
            file.write(b"x" * BLOCK)
            os.fdatasync(file.fileno())
            times.append((monotonic() - begun) * 1000)
    path.unlink()
    return percentile(times, 0.5), percentile(times, 0.99)


def _cpu() -> str:
    found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else platform.processor()


def _file_system(folder: Path) -> str:
    """The type of the file system that holds *folder*: the longest mount point above it."""
    mounts = [part for part in psutil.disk_partitions(all=True) if folder.is_relative_to(part.mountpoint)]
    return max(mounts, key=lambda part: len(part.mountpoint)).fstype if mounts else "unknown file system"


def _said(*command: str | Path) -> str:
    """The version in the first line of what a program says."""
    if shutil.which(command[0]) is None:
        return "not installed"
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
    found = re.search(r"\d+\.\d+(\.\d+)?", (done.stdout + done.stderr).partition("\n")[0])
    return found[0] if found else "unknown"
