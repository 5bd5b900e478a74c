"""A server made of files, as /proc and /sys show it."""

from pathlib import Path
from typing import Any

from agent import tocsin_agent as agent

AT = 1_764_028_800_000

FILES = {
    "/proc/stat": "cpu  1000 100 500 8000 400 0 0 0 0 0\ncpu0 1 0 0 0\ncpu1 1 0 0 0\nbtime 1764000000\nprocs_running 2\nprocs_blocked 1\n",
    "/proc/loadavg": "0.52 0.58 0.59 2/321 4242\n",
    "/proc/meminfo": "MemTotal: 1000000 kB\nMemFree: 100000 kB\nMemAvailable: 250000 kB\nSwapTotal: 200000 kB\nSwapFree: 150000 kB\n",
    "/proc/vmstat": "pswpin 100\npswpout 200\noom_kill 0\n",
    "/proc/pressure/cpu": "some avg10=0.00 avg60=0.00 avg300=0.00 total=1000000\n",
    "/proc/self/mounts": "/dev/vda1 / ext4 rw,relatime 0 0\nproc /proc proc rw 0 0\n/dev/vda1 /again ext4 rw 0 0\n",
    "/proc/diskstats": " 254 0 vda 100 0 2000 50 300 0 4000 150 0 200 200 0 0 0 0\n 7 0 loop0 1 0 1 1 1 0 1 1 0 1 1\n",
    "/sys/block/vda/size": "1\n",
    "/proc/net/dev": "Inter-|\n face |\n  eth0: 1000 10 0 0 0 0 0 0 2000 20 1 0 0 0 0 0\n    lo: 5 1 0 0 0 0 0 0 5 1 0 0 0 0 0 0\n",
    "/proc/net/sockstat": "sockets: used 10\nTCP: inuse 3 orphan 0 tw 1 alloc 5 mem 1\n",
    "/proc/net/tcp": "  sl local rem st\n   0: 00000000:0016 0:0 0A 0:0\n   1: 0100007F:0016 0:1 01 0:0\n   2: 0100007F:0016 0:1 06 0:0\n",
    "/proc/net/tcp6": "  sl local rem st\n   0: 00000000000000000000000000000000:01BB 0:0 0A 0:0\n",
    "/proc/uptime": "28800.50 100.0\n",
    "/proc/mdstat": "Personalities : [raid1]\nmd0 : active raid1 sdb1[1] sda1[0]\n      100 blocks [2/2] [UU]\n\nunused devices: <none>\n",
    "/proc/1/stat": "1 (init) S 0 1 1 0 -1 0 0 0 0 0 10 5 0 0 20 0 1 0 1 1000 300",
    "/proc/77/stat": "77 (a) b) c) Z 1 77 77 0 -1 0 0 0 0 0 99 1 0 0 20 0 1 0 1 1000 9000",
    "/etc/os-release": 'NAME="Debian"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n',
    "/proc/sys/kernel/osrelease": "6.1.0\n",
}


class Files(agent.Machine):  # type: ignore[misc]  # Python without annotations
    """A server at a folder. ``write`` changes what it shows."""

    def __init__(self, folder: Path) -> None:
        super().__init__(str(folder))
        for path, text in FILES.items():
            self.write(path, text)

    def write(self, path: str, text: str) -> Path:
        """Makes or changes a file."""
        place = Path(self.path(path))
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
        return place

    def without(self, path: str) -> None:
        """Takes a file away."""
        Path(self.path(path)).unlink()

    def systemctl(self, *lines: str) -> None:
        """What systemd lists."""
        self.write("/run/systemd/system/x", "")
        self.write("/run-output/systemctl_list-units_--type=service_--all_--plain_--no-legend_--no-pager", "\n".join(lines) + "\n")


class FakeLink:
    """A server that takes what it is given, or does not. ``taken``: path and what was sent, unpacked."""

    def __init__(self) -> None:
        self.drift: int | None = None
        self.answers: list[Any] = []
        self.taken: list[tuple[str, Any]] = []
        self.cards: list[str] = []

    def close(self) -> None:
        """Nothing is open."""

    def ask(self, method: str, path: str, body: bytes | None = None, extra: dict[str, str] | None = None) -> Any:
        """Answers with the next of ``answers`` (an exception is raised), or takes it."""
        answer = self.answers.pop(0) if self.answers else (202 if method == "POST" else 200)
        if isinstance(answer, Exception):
            raise answer
        if answer == 202 and body is not None:
            self.taken.append((path, agent.json.loads(agent.zlib.decompress(body, 31))))
            self.cards.append((extra or {})["X-Tocsin-Agent"])
        status, headers, text = answer if isinstance(answer, tuple) else (answer, {}, b'{"accepted":1,"rejected":[]}')
        return agent.Answer(status, headers, text)

    def samples(self) -> list[dict[str, Any]]:
        """All samples in the order in which they came."""
        return [sample for path, body in self.taken if path.endswith("/metrics") for sample in body["samples"]]

    def events(self) -> list[dict[str, Any]]:
        """All events in the order in which they came."""
        return [event for path, body in self.taken if path.endswith("/events") for event in body]


def an_agent(machine: Any, folder: Path, link: Any) -> Any:
    """An agent of this server, with a state folder in *folder*."""
    return agent.Agent(machine, link, str(folder / "state"), "web-1", 10, "/metrics")


def values(samples: Any) -> dict[str, float]:
    """``name{label}`` -> value, with all values of labels in the order of their names."""
    found = {}
    for name, labels, value in samples:
        text = ",".join(labels[key] for key in sorted(labels))
        found[f"{name}{{{text}}}" if text else name] = value
    return found
