#!/usr/bin/env python3
"""The Tocsin server agent: reads how a Linux server is from /proc and /sys and pushes it to Tocsin.

One file, the standard library, Python 3.6 or newer. It opens no port and runs no program that it is told from outside. Only with
--checks it looks at addresses that the server names: whether they answer, never with more than a request.
While the server is away, what was measured waits on disk, in order, for up to seven days. How to set it up:
docs/how-to/watch-a-server.md; what it measures: docs/reference/agent.md.
"""

import errno
import fcntl
import json
import os
import re
import select
import signal
import socket
import struct
import sys
import time
import zlib
from collections import OrderedDict

VERSION = "1.0"
SECOND, MINUTE, DAY = 1000, 60 * 1000, 86400 * 1000
KEPT_FOR = 7 * DAY
SPOOL_LIMIT = 256 * 1024 * 1024
SEGMENT_SIZE = 1024 * 1024
AT_ONCE = 2000  # samples in one request
CLOCK_OFF = 60 * SECOND  # from here on samples are stamped by the server's clock
SLOW_EVERY, PANEL_EVERY = 60 * SECOND, 300 * SECOND
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 300.0
TIMEOUT = 20.0
MAX_ANSWER = 1024 * 1024
MAX_SAID = 4 * 1024 * 1024  # by a program that is asked
MAX_FILE = 256 * 1024  # of metrics of one's own
MAX_CONNECTIONS = 20000  # more are counted, not told apart by state
MAX_CUSTOM = 500
CUSTOM_TOO_OLD = DAY
BUSY_CPU, BUSY_MEMORY = 80.0, 90.0
CONFIG = "/etc/tocsin-agent.conf"
DIRECTADMIN = "/usr/local/directadmin/data/admin/services.status"

STATES = (("01", "established"), ("03", "syn_recv"), ("06", "time_wait"), ("08", "close_wait"), ("0A", "listen"))
CPU_MODES = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
REAL_FILESYSTEM = re.compile(r"(ext[234]|xfs|btrfs|zfs|f2fs|jfs|reiserfs|vfat|exfat|ntfs3?|fuseblk|bcachefs|ocfs2|gfs2)$")
WATCHED = re.compile(
    r"(apache2|httpd|nginx|lsws|litespeed|lshttpd|caddy|haproxy|varnish|mysqld?|mariadb|postgresql(@.+|-\d+)?|redis(-server)?|memcached|"
    r"exim4?|postfix(@.+)?|dovecot|opendkim|rspamd|spamassassin|clamav-daemon|clamd(@.+)?|named|bind9|pdns|unbound|nsd|"
    r"(ea-)?php[\d.]*-?fpm|plesk-php\d+-fpm|sshd?|crond?|pure-ftpd|proftpd|vsftpd|docker|containerd|"
    r"cpanel|cphulkd|cpsrvd|tailwatchd|psa|sw-cp-server|sw-engine|directadmin|imunify360|csf|lfd|fail2ban)$"
)
METRIC_LINE = re.compile(r"^([a-z][a-z0-9]*(?:_[a-z0-9]+)+)(?:\{([^}]*)\})?\s+(\S+)(?:\s+\d+)?$")
LABEL = re.compile(r'\s*([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"\s*(?:,|$)')


class Fault(Exception):
    """Something that the person who set the agent up has to mend; the text says what."""


def log(text):
    """One line on standard error, where systemd's journal finds it. Keys never come here."""
    sys.stderr.write("tocsin-agent: " + text + "\n")
    sys.stderr.flush()


def now_ms():
    """The machine's clock in milliseconds."""
    return int(time.time() * 1000)


def new_id():
    """A random UUID."""
    raw = bytearray(os.urandom(16))
    raw[6] = raw[6] & 0x0F | 0x40
    raw[8] = raw[8] & 0x3F | 0x80
    text = "".join("%02x" % byte for byte in raw)
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def stamp(ms):
    """RFC 3339 in UTC."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(ms // 1000)) + ".%03dZ" % (ms % 1000)


def gzipped(body):
    """*body* as gzip."""
    packer = zlib.compressobj(6, zlib.DEFLATED, 31)
    return packer.compress(body) + packer.flush()


# --- What there is to read ---------------------------------------------------------------------------------------------


class Machine:
    """The files and programs of a server. *root* is another folder in tests."""

    def __init__(self, root="/"):
        self.root = root

    def path(self, path):
        """Where *path* really is."""
        return path if self.root == "/" else os.path.join(self.root, path.lstrip("/"))

    def read(self, path, most=-1):
        """The text of a file, or its beginning; empty if it is not there or may not be read."""
        try:
            with open(self.path(path), "rb") as file:
                return file.read(most).decode("utf-8", "replace")
        except OSError:
            return ""

    def lines(self, path):
        """The lines of a file that may be long, one after the other, as bytes."""
        try:
            with open(self.path(path), "rb") as file:
                for line in file:
                    yield line
        except OSError:
            return

    def names(self, path):
        """What is in a folder; nothing if it is not there."""
        try:
            return os.listdir(self.path(path))
        except OSError:
            return []

    def exists(self, path):
        """Whether there is such a file."""
        return os.path.exists(self.path(path))

    def run(self, *command, **options):
        """What a program prints; empty if it is not there, fails, or takes too long."""
        if self.root != "/":
            return self.read("/run-output/" + "_".join(command).replace("/", "_"))
        environment = dict((name, value) for name, value in os.environ.items() if not name.startswith("TOCSIN"))  # the key is ours
        environment["LC_ALL"] = "C"
        reader, writer = os.pipe()
        try:
            pid = spawn(command, environment, writer)
        except OSError:
            os.close(reader)
            return ""
        finally:
            os.close(writer)
        try:
            return heard(pid, reader, time.monotonic() + options.get("timeout", 10))
        finally:
            os.close(reader)

    def space(self, mount):
        """``statvfs`` of a mount, or None."""
        try:
            return os.statvfs(self.path(mount))
        except OSError:
            return None


def spawn(command, environment, out):
    """Starts a program that writes to *out*; its process id. Without `subprocess`, which costs a megabyte, where Python can (3.8)."""
    if not hasattr(os, "posix_spawnp"):
        import subprocess  # noqa: PLC0415 - a megabyte that newer Pythons do not need

        started = subprocess.Popen(command, stdout=out, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, env=environment)
        started.returncode = 0  # `heard` waits for it
        return started.pid
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_DUP2, out, 1),
        (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
    ]
    return os.posix_spawnp(command[0], command, environment, file_actions=actions, setsigdef=[signal.SIGPIPE])


def heard(pid, reader, deadline):
    """What a program says until it ends; empty if it fails, says too much, or is not done by *deadline*."""
    parts, size, is_done = [], 0, False
    while not is_done and size <= MAX_SAID and select.select([reader], [], [], max(0.0, deadline - time.monotonic()))[0]:
        part = os.read(reader, 65536)
        size += len(part)
        is_done = not part
        parts.append(part)
    if not is_done:
        os.kill(pid, signal.SIGKILL)
    status = os.waitpid(pid, 0)[1]
    return b"".join(parts).decode("utf-8", "replace") if is_done and status == 0 else ""


class Rates:
    """Differences of counters. A counter that goes back, or a clock that does, gives nothing once."""

    def __init__(self, kept=None):
        self._kept = kept or {}
        self._next = {}

    def delta(self, key, value, at):
        """By how much it grew, and in how many seconds; None the first time."""
        self._next[key] = (value, at)
        before = self._kept.get(key)
        if before is None or value < before[0] or at <= before[1]:
            return None
        return value - before[0], (at - before[1]) / 1000.0

    def per_second(self, key, value, at):
        """How fast it grows; None the first time."""
        found = self.delta(key, value, at)
        return None if found is None else found[0] / found[1]

    def recall(self, key):
        """When something was last remembered; None: never, or it was not seen in the last round."""
        found = self._kept.get(key)
        return None if found is None else found[1]

    def remember(self, key, at):
        """Keeps a moment for the next round."""
        self._next[key] = (0, at)

    def names(self, start):
        """What is remembered under names that begin so, without that."""
        return [key[len(start) :] for key in self._kept if key.startswith(start)]

    def turn(self):
        """Ends a round: what was not seen in it is forgotten."""
        self._kept, self._next = self._next, {}

    def kept(self):
        """What the next run has to know."""
        return self._kept


class Round:
    """One collection: samples (name, labels, value) at one time, and the troubles that stand."""

    def __init__(self, machine, rates, at):
        self.machine, self.rates, self.at = machine, rates, at
        self.samples = []
        self.troubles = {}

    def add(self, name, value, **labels):
        """A value; None is no value."""
        if value is not None:
            self.samples.append((name, labels, round(float(value), 3)))

    def trouble(self, kind, subject, title, severity, message=""):
        """Something that is wrong now, and an alert as long as it is."""
        self.troubles[kind + "|" + subject] = {"type": kind, "subject": subject, "title": title, "severity": severity, "message": message}

    def value(self, name):
        """A value of this round without labels."""
        for found, labels, value in self.samples:
            if found == name and not labels:
                return value
        return None


# --- Each minute or more often -----------------------------------------------------------------------------------------


def cpu(this):
    """Load of the processors, all together, by mode."""
    stat = this.machine.read("/proc/stat")
    for line in stat.splitlines():
        if line.startswith("cpu "):
            ticks = [int(word) for word in line.split()[1:9]]
            _cpu_modes(this, ticks + [0] * (8 - len(ticks)))
        elif line.startswith("procs_running "):
            this.add("processes_running", int(line.split()[1]))
        elif line.startswith("procs_blocked "):
            this.add("processes_blocked", int(line.split()[1]))
    count = len(re.findall(r"^cpu\d", stat, re.MULTILINE))
    if count:
        this.add("cpu_count", count)


def _cpu_modes(this, ticks):
    spent = [this.rates.delta("cpu." + mode, value, this.at) for mode, value in zip(CPU_MODES, ticks)]
    if None in spent:
        return
    total = sum(grown for grown, _ in spent)
    if total <= 0:
        return
    share = dict((mode, 100.0 * grown / total) for mode, (grown, _) in zip(CPU_MODES, spent))
    this.add("cpu_percent", 100.0 - share["idle"] - share["iowait"])
    for mode in CPU_MODES:
        if mode != "idle":
            this.add("cpu_mode_percent", share[mode], mode=mode)


def load(this):
    """How many processes want to run."""
    words = this.machine.read("/proc/loadavg").split()
    for name, word in zip(("load_1m", "load_5m", "load_15m"), words):
        this.add(name, float(word))


def memory(this):
    """Memory and swap."""
    found = {}
    for line in this.machine.read("/proc/meminfo").splitlines():
        words = line.split()
        if len(words) >= 2 and words[1].isdigit():
            found[words[0].rstrip(":")] = int(words[1]) * 1024
    total = found.get("MemTotal")
    if not total:
        return
    spare = found.get("MemFree", 0) + found.get("Buffers", 0) + found.get("Cached", 0)  # before Linux 3.14
    available = min(total, found.get("MemAvailable", spare))
    this.add("memory_percent", 100.0 * (total - available) / total)
    this.add("memory_available_bytes", available)
    this.add("memory_total_bytes", total)
    swap = found.get("SwapTotal", 0)
    if swap:
        this.add("swap_percent", 100.0 * (swap - found.get("SwapFree", 0)) / swap)
        this.add("swap_used_bytes", swap - found.get("SwapFree", 0))


def paging(this):
    """Pages swapped in and out; processes that the kernel killed for want of memory."""
    wanted = {"pswpin": "swap_in_pages_per_second", "pswpout": "swap_out_pages_per_second"}
    for line in this.machine.read("/proc/vmstat").splitlines():
        name, _, value = line.partition(" ")
        if name in wanted:
            this.add(wanted[name], this.rates.per_second("vm." + name, int(value), this.at))
        elif name == "oom_kill":
            grown = this.rates.delta("vm.oom_kill", int(value), this.at)
            this.add("oom_kills_count", grown and grown[0])


def pressure(this):
    """How much of the time somebody waited for a processor, for memory, for a disk (Linux 4.20 and newer)."""
    for resource in ("cpu", "memory", "io"):
        for line in this.machine.read("/proc/pressure/" + resource).splitlines():
            kind = line.split(" ", 1)[0]
            match = re.search(r"total=(\d+)", line)
            if match:
                rate = this.rates.per_second("pressure.%s.%s" % (resource, kind), int(match.group(1)), this.at)
                this.add("pressure_percent", rate and rate / 10000.0, resource=resource, kind=kind)


def disks(this):
    """Space, inodes, and file systems that have become read-only."""
    seen = set()
    # Those of the first process: systemd shows the agent a view of its own, in which all is read-only.
    for line in (this.machine.read("/proc/1/mounts") or this.machine.read("/proc/self/mounts")).splitlines():
        words = line.split()
        if len(words) < 4 or not REAL_FILESYSTEM.match(words[2]) or words[0] in seen:
            continue
        seen.add(words[0])  # a device that is mounted twice is one
        mount = re.sub(r"\\(\d{3})", lambda match: chr(int(match.group(1), 8)), words[1])
        _mount(this, mount, "ro" in words[3].split(","))


def _mount(this, mount, read_only):
    space = this.machine.space(mount)
    if space is None or space.f_blocks == 0:
        return
    used, free = space.f_blocks - space.f_bfree, space.f_bavail
    if used + free > 0:
        this.add("disk_percent", 100.0 * used / (used + free), mount=mount)  # as df counts: what root keeps back is not free
    this.add("disk_free_bytes", free * space.f_frsize, mount=mount)
    if space.f_files:
        this.add("inode_percent", 100.0 * (space.f_files - space.f_ffree) / space.f_files, mount=mount)
    this.add("disk_read_only_flag", 1 if read_only else 0, mount=mount)
    # What was read-only from the start (an image, a CD) is meant to be.
    key = "writable." + mount
    if not read_only:
        this.rates.remember(key, this.at)
    elif this.rates.recall(key) is not None:
        this.rates.remember(key, this.rates.recall(key))
        title = "%s has become read-only" % mount
        this.trouble("host.disk_read_only", "disk:" + mount, title, 4, "The kernel does that when the disk makes errors.")


def disk_io(this):
    """What each disk reads and writes, how busy it is and how long it takes."""
    for line in this.machine.read("/proc/diskstats").splitlines():
        words = line.split()
        if len(words) < 14:
            continue
        name = words[2]
        if re.match(r"(loop|ram|zram|fd|sr)\d", name) or not this.machine.exists("/sys/block/" + name):
            continue
        reads, read_sectors, read_ms, writes, written_sectors, write_ms, busy_ms = (int(words[n]) for n in (3, 5, 6, 7, 9, 10, 12))
        if reads + writes == 0:
            continue
        for metric, sectors in (("disk_read_bytes_per_second", read_sectors), ("disk_write_bytes_per_second", written_sectors)):
            this.add(metric, this.rates.per_second(metric + name, sectors * 512, this.at), device=name)
        busy = this.rates.per_second("busy." + name, busy_ms, this.at)
        this.add("disk_busy_percent", busy and min(100.0, busy / 10.0), device=name)
        done, waited = (
            this.rates.delta("io." + name, reads + writes, this.at),
            this.rates.delta("wait." + name, read_ms + write_ms, this.at),
        )
        if done and waited and done[0]:
            this.add("disk_wait_ms", waited[0] / float(done[0]), device=name)


def network(this):
    """Traffic and errors of each interface that is real."""
    for line in this.machine.read("/proc/net/dev").splitlines()[2:]:
        name, _, rest = line.partition(":")
        name, words = name.strip(), rest.split()
        if len(words) < 16 or name == "lo" or re.match(r"(veth|docker|br-|virbr|tap|cali|flannel|cni|ifb|dummy)", name):
            continue
        values = [int(word) for word in words]
        if values[0] + values[8] == 0:
            continue
        for metric, value in (
            ("network_receive_bytes_per_second", values[0]),
            ("network_transmit_bytes_per_second", values[8]),
            ("network_errors_per_second", values[2] + values[10]),
            ("network_drops_per_second", values[3] + values[11]),
        ):
            this.add(metric, this.rates.per_second(metric + name, value, this.at), interface=name)


def connections(this):
    """TCP connections, by state unless there are very many."""
    found = re.search(r"^TCP: inuse (\d+) orphan \d+ tw (\d+)", this.machine.read("/proc/net/sockstat"), re.MULTILINE)
    six = re.search(r"^TCP6: inuse (\d+)", this.machine.read("/proc/net/sockstat6"), re.MULTILINE)
    total = sum(int(word) for match in (found, six) if match for word in match.groups())
    if total > MAX_CONNECTIONS:
        this.add("network_connections", total)
        return
    counts, listening = {}, set()
    for file in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in this.machine.lines(file):
            words = line.split(None, 4)
            if len(words) > 3 and words[0].endswith(b":"):
                state = words[3].decode("ascii", "replace")
                counts[state] = counts.get(state, 0) + 1
                if state == "0A":
                    listening.add(int(words[1].rpartition(b":")[2], 16))
    if not found and not counts:
        return
    this.add("network_connections", sum(count for state, count in counts.items() if state != "0A"))
    for code, name in STATES:
        this.add("network_state_connections", counts.get(code, 0), state=name)
    ports(this, listening)


def ports(this, listening):
    """Ports on which somebody listens; one that has closed is 0 for a day."""
    fixed = set(sorted(port for port in listening if port < 32768)[:50])
    for port in sorted(fixed | {int(name) for name in this.rates.names("port.")}):
        key = "port.%d" % port
        last = this.at if port in fixed else this.rates.recall(key)
        if this.at - last <= DAY:
            this.rates.remember(key, last)
            this.add("port_listening_flag", 1 if port in fixed else 0, port=str(port))


def uptime(this):
    """Since when it runs."""
    words = this.machine.read("/proc/uptime").split()
    if words:
        this.add("uptime_seconds", float(words[0]))


def raid(this):
    """Software RAID: arrays that lack a disk."""
    text = this.machine.read("/proc/mdstat")
    for match in re.finditer(r"^(md\S+) : (\S+) .*\n(?:.*?\[(\d+)/(\d+)\] \[[U_]+\])?", text, re.MULTILINE):
        name, state, wanted, there = match.groups()
        missing = int(wanted or 0) - int(there or 0)
        this.add("raid_missing_disks", missing, array=name)
        if missing > 0 or state == "inactive":
            title = "RAID %s lacks %d of %s disks" % (name, missing, wanted) if missing > 0 else "RAID %s is not active" % name
            this.trouble("host.raid_degraded", "raid:" + name, title, 4)


FAST = (cpu, load, memory, paging, pressure, disks, disk_io, network, connections, uptime, raid)


# --- Each minute -------------------------------------------------------------------------------------------------------


def processes(this):
    """How many there are, and how many are dead and not buried."""
    count = zombies = 0
    for name in this.machine.names("/proc"):
        if name.isdigit():
            count += 1
            zombies += _state(this.machine.read("/proc/%s/stat" % name)) == "Z"
    if count:
        this.add("processes_count", count)
        this.add("processes_zombies", zombies)


def _state(stat):
    """The state in a process's stat line; its name, in brackets, may hold anything."""
    return stat.rpartition(")")[2].strip()[:1]


def units(this):
    """Services of systemd that failed, and well-known ones that ran once and do not run now."""
    if not this.machine.exists("/run/systemd/system"):
        return
    text = this.machine.run("systemctl", "list-units", "--type=service", "--all", "--plain", "--no-legend", "--no-pager")
    failed = 0
    for line in text.splitlines():
        words = line.split(None, 4)
        if len(words) < 4 or words[1] != "loaded":
            continue
        name, active = words[0][: -len(".service")] if words[0].endswith(".service") else words[0], words[2]
        if active == "failed":
            failed += 1
            this.trouble("host.unit_down", "unit:" + name, "The service %s has failed" % name, 3, words[4] if len(words) > 4 else "")
        if WATCHED.match(name):
            _service(this, name, active in ("active", "reloading", "activating"))
    if text:
        this.add("units_failed_count", failed)


def _service(this, name, is_up):
    """A service counts from the moment at which it was first seen to run: what is installed and not used is not down."""
    key = "ran." + name
    ran = is_up or this.rates.recall(key) is not None
    if ran:
        this.rates.remember(key, this.at)
        this.add("service_up", 1 if is_up else 0, service=name)
    if ran and not is_up:
        this.trouble("host.service_down", "service:" + name, "The service %s does not run" % name, 4)


def mail_queue(this):
    """Messages that wait in Postfix or Exim."""
    for name, folders, pattern in (
        ("postfix", ["/var/spool/postfix/" + queue for queue in ("active", "deferred", "incoming", "hold", "maildrop")], r"[0-9A-Za-z]+$"),
        ("exim", ["/var/spool/exim4/input", "/var/spool/exim/input"], r".*-H$"),
    ):
        there = [folder for folder in folders if this.machine.exists(folder)]
        if there:
            this.add("mail_queue_messages", sum(_files(this.machine, folder, pattern) for folder in there), service=name)


def _files(machine, folder, pattern, depth=2):
    count = 0
    for name in machine.names(folder):
        if len(name) == 1 and depth and os.path.isdir(machine.path(folder + "/" + name)):
            count += _files(machine, folder + "/" + name, pattern, depth - 1)
        elif re.match(pattern, name):
            count += 1
    return count


def custom(this, folder):
    """Metrics of your own: files ``*.prom`` with lines ``name{label="value"} 1.5``. One that nobody has written for a day is left out."""
    room = MAX_CUSTOM
    for name in sorted(this.machine.names(folder)):
        path = os.path.join(folder, name)
        if not name.endswith(".prom") or name.startswith("."):
            continue
        try:
            age = this.at - int(os.stat(this.machine.path(path)).st_mtime * 1000)
        except OSError:
            continue
        this.add("custom_file_age_seconds", max(0, age) / 1000.0, file=name)
        if age > CUSTOM_TOO_OLD:
            continue
        for line in this.machine.read(path, MAX_FILE).splitlines():
            found = parse_metric(line)
            if found and room > 0:
                room -= 1
                this.samples.append(found)


def parse_metric(line):
    """One line of a custom file as (name, labels, value); None for a comment, or what is none of ours."""
    match = METRIC_LINE.match(line.strip())
    if not match:
        return None
    name, text, number = match.groups()
    try:
        value = float(number)
    except ValueError:
        return None
    labels, rest = OrderedDict(), text or ""
    while rest.strip():
        label = LABEL.match(rest)
        if not label:
            return None
        labels[label.group(1)] = label.group(2).replace('\\"', '"').replace("\\n", " ").replace("\\\\", "\\")[:200]
        rest = rest[label.end() :]
    if not -1e300 < value < 1e300:  # no number, or an infinite one
        return None
    return name, dict(labels), value


SLOW = (processes, units, mail_queue)


# --- Each five minutes -------------------------------------------------------------------------------------------------


def panels(this):
    """What a hosting panel says of its services, by its own list of what it looks after."""
    for panel, sign, services in (
        ("cpanel", "/usr/local/cpanel/version", _cpanel),
        ("plesk", "/usr/local/psa/version", _plesk),
        ("directadmin", DIRECTADMIN, _directadmin),
    ):
        if this.machine.exists(sign):
            for name, is_up in services(this.machine):
                _panel_service(this, panel, name, is_up)


def _cpanel(machine):
    """What WHM monitors (https://api.docs.cpanel.net/specifications/whm.openapi/services/services-servicestatus)."""
    for service in cpanel_services(machine.run("/usr/local/cpanel/bin/whmapi1", "--output=json", "servicestatus", timeout=60)):
        name = str(service.get("name", ""))[:60]
        if name and service.get("installed") and service.get("enabled") and service.get("monitored"):
            yield name, bool(service.get("running"))


def cpanel_services(text):
    """The services in an answer of WHM; nothing if it is none."""
    try:
        found = json.loads(text)["data"]["service"]
    except (ValueError, KeyError, TypeError):
        return []
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _plesk(machine):
    """Plesk's own list: 1 runs, 0 does not, -1 is switched off.

    https://docs.plesk.com/en-US/obsidian/cli-linux/using-command-line-utilities/service-services.40786/
    """
    text = machine.run("plesk", "bin", "service", "--list", "-format", "\\n%s\\t%k", timeout=60)
    for state, name in re.findall(r"^([01])\t([\w.@-]{1,60})$", text, re.MULTILINE):
        yield name, state == "1"


def _directadmin(machine):
    """What DirectAdmin keeps running (``exim=ON``), and whether systemd says that it does."""
    names = re.findall(r"^(\w[\w.@-]{0,59})=ON\s*$", machine.read(DIRECTADMIN), re.MULTILINE)
    states = machine.run("systemctl", "is-active", *names).splitlines() if names else []
    if len(states) == len(names):
        for name, state in zip(names, states):
            yield name, state in ("active", "reloading", "activating")


def _panel_service(this, panel, name, is_up):
    """As `_service`: what never ran while we looked is installed, or known under another name, and not down."""
    key = "ran.%s.%s" % (panel, name)
    if is_up or panel == "cpanel" or this.rates.recall(key) is not None:  # cPanel lists what is to run
        this.rates.remember(key, this.at)
        this.add("panel_service_up", 1 if is_up else 0, service=name, panel=panel)
        if not is_up:
            this.trouble("host.service_down", "%s:%s" % (panel, name), "%s says that %s does not run" % (panel, name), 4)


# --- Who it was --------------------------------------------------------------------------------------------------------


class TopProcesses:
    """The five largest, once, when processor or memory get scarce. By name only: command lines hold passwords."""

    def __init__(self, machine):
        self._machine = machine
        self._told = False
        self._before = None

    def look(self, this):
        """An event of the round in which it can be said; else None."""
        busy = (this.value("cpu_percent") or 0) >= BUSY_CPU or (this.value("memory_percent") or 0) >= BUSY_MEMORY
        if not busy:
            self._told, self._before = False, None
            return None
        if self._told:
            return None
        seen = dict(self._all())
        before, self._before = self._before, seen
        if before is None:
            return None
        self._told = True
        by_cpu = sorted(((ticks - before[pid][1], name) for pid, (name, ticks, _) in seen.items() if pid in before), reverse=True)[:5]
        by_memory = sorted(((size, name) for name, _, size in seen.values()), reverse=True)[:5]
        page = os.sysconf("SC_PAGE_SIZE")
        return {
            "type": "host.top_processes",
            "status": "info",
            "title": "The largest processes while the server was busy",
            "attributes": {
                "cpu_percent": this.value("cpu_percent"),
                "memory_percent": this.value("memory_percent"),
                "by_cpu_ticks": [[name, ticks] for ticks, name in by_cpu],
                "by_memory_bytes": [[name, size * page] for size, name in by_memory],
            },
        }

    def _all(self):
        for pid in self._machine.names("/proc"):
            if pid.isdigit():
                head, _, rest = self._machine.read("/proc/%s/stat" % pid).rpartition(")")
                words = rest.split()
                if len(words) > 21:
                    yield pid, (head.partition("(")[2][:40], int(words[11]) + int(words[12]), int(words[21]))


def _plain(text):
    """A short text that can stand in a header."""
    return re.sub(r"[^\x20-\x7e]", "?", text)[:80]


def facts(machine):
    """What seldom changes."""
    release = dict(line.split("=", 1) for line in machine.read("/etc/os-release").splitlines() if "=" in line)
    cpus = len(re.findall(r"^cpu\d", machine.read("/proc/stat"), re.MULTILINE))
    total = re.search(r"^MemTotal:\s+(\d+)", machine.read("/proc/meminfo"), re.MULTILINE)
    boot = re.search(r"^btime (\d+)", machine.read("/proc/stat"), re.MULTILINE)
    return {
        "os": _plain(release.get("PRETTY_NAME", "").strip("\"'")),
        "kernel": _plain(machine.read("/proc/sys/kernel/osrelease").strip()),
        "cpus": cpus,
        "memory_bytes": int(total.group(1)) * 1024 if total else 0,
        "booted_at": stamp(int(boot.group(1)) * 1000) if boot else None,
        "python": "%d.%d" % sys.version_info[:2],
    }


# --- Waiting on disk ---------------------------------------------------------------------------------------------------


class Spool:
    """What could not be sent, in order, in files of about a megabyte. A record is a line with its length, check sum, time, number
    of members and kind, then its bytes.

    A record that was half written when the power went is left out. A place once sent is noted by a rename; dying before it sends
    again, which does no harm: the server knows what it has.
    """

    def __init__(self, folder, limit=SPOOL_LIMIT):
        self._folder, self._limit = folder, limit
        self._sound = None  # the file whose end was looked at
        self.dropped = 0
        os.makedirs(folder, 0o700, exist_ok=True)
        self._first, self._offset = self._read_place()

    def _segments(self):
        return sorted(int(name[:-6]) for name in os.listdir(self._folder) if re.match(r"\d+\.spool$", name))

    def _path(self, number):
        return os.path.join(self._folder, "%012d.spool" % number)

    def _read_place(self):
        try:
            with open(os.path.join(self._folder, "place")) as file:
                number, offset = file.read().split()
                return int(number), int(offset)
        except (OSError, ValueError):
            return 0, 0

    def _write_place(self, number, offset):
        temporary = os.path.join(self._folder, "place.new")
        with open(temporary, "w") as file:
            file.write("%d %d" % (number, offset))
        os.rename(temporary, os.path.join(self._folder, "place"))
        self._first, self._offset = number, offset

    def is_empty(self):
        """Whether nothing waits."""
        for number in self._segments():
            if number > self._first or (number == self._first and os.path.getsize(self._path(number)) > self._offset):
                return False
        return True

    def add(self, kind, at, count, body):
        """Keeps one more batch of *count* members, flushed to the disk; lets the oldest go when there is no room."""
        numbers = self._segments()
        number = numbers[-1] if numbers else self._first + 1
        if numbers and (os.path.getsize(self._path(number)) >= SEGMENT_SIZE or self._is_torn(number)):
            number += 1
        self._sound = None  # until it is written whole
        with open(self._path(number), "ab") as file:
            file.write(b"%d %d %d %d %s\n" % (len(body), zlib.crc32(body), at, count, kind.encode()) + body)
            file.flush()
            os.fsync(file.fileno())
        self._sound = number
        while len(numbers) > 1 and sum(os.path.getsize(self._path(one)) for one in self._segments()) > self._limit:
            self._drop(numbers.pop(0))

    def _is_torn(self, number):
        """Whether a file ends in the middle of a record: what is written behind that could not be read."""
        if number == self._sound:
            return False
        ends = [record[0] for record in self._records(number, 0)]
        return (ends[-1] if ends else 0) < os.path.getsize(self._path(number))

    def _drop(self, number):
        self.dropped += sum(1 for _ in self._records(number, self._offset if number == self._first else 0))
        os.remove(self._path(number))

    def _records(self, number, offset):
        """The whole records of a file from a place on, each with the place behind it."""
        if not os.path.exists(self._path(number)):
            return
        with open(self._path(number), "rb") as file:
            file.seek(offset)
            while True:
                words = file.readline(100).split()
                if len(words) != 5 or not all(word.isdigit() for word in words[:4]):
                    return
                body = file.read(int(words[0]))
                if len(body) != int(words[0]) or zlib.crc32(body) != int(words[1]):
                    return
                yield file.tell(), words[4].decode(), int(words[2]), int(words[3]), body

    def next(self, now, most=AT_ONCE):
        """The next records of one kind, at most so many members: (kind, bodies, place behind them); None if nothing waits. What is too old
        for the server is let go.
        """
        for number in self._segments():
            if number < self._first:
                os.remove(self._path(number))
                continue
            offset = self._offset if number == self._first else 0
            kind, bodies, place, members = None, [], offset, 0
            for behind, found, at, count, body in self._records(number, offset):
                if at < now - KEPT_FOR:
                    self.dropped += 1
                    place = behind
                    continue
                members += count
                if bodies and (found != kind or members > most):
                    break
                kind, place = found, behind
                bodies.append(body)
            if bodies:
                return kind, bodies, (number, place)
            self._write_place(number + 1, 0)
            os.remove(self._path(number))
        return None

    def done(self, place):
        """What `next` gave is with the server."""
        self._write_place(*place)


# --- Speaking with the server ------------------------------------------------------------------------------------------


class Answer:
    """What the server said."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def reason(self):
        """The server's own words, for the log."""
        try:
            return str(json.loads(self.body.decode("utf-8"))["detail"])[:300]
        except (ValueError, KeyError, TypeError):
            return "it answered with %d" % self.status


class Link:
    """A connection that is kept. Written out here, since http.client and what it loads are half of this agent's memory."""

    def __init__(self, url, key, ca_file=None, timeout=TIMEOUT):
        match = re.match(r"(https?)://([^/:\[\]@?#]+|\[[0-9a-fA-F:]+\])(?::(\d+))?(/[^?#]*)?$", url)
        if not match:
            raise Fault("the server %r is no address. Example: https://alarm.example.com" % re.sub(r"//[^/@]*@", "//", url)[:100])
        scheme, host, port, path = match.groups()
        self._host, self._port = host.strip("[]"), int(port or (443 if scheme == "https" else 80))
        self._name = host if port is None else "%s:%s" % (host, port)
        self._prefix = (path or "").rstrip("/")
        self._tls = scheme == "https"
        self._key, self._ca_file, self._timeout = key, ca_file, timeout
        self._socket, self._context = None, None
        self._buffer, self._deadline = b"", 0.0
        self.drift = None  # ours minus the server's clock, in ms

    def use(self, key):
        """Shows another key from now on."""
        self._key = key

    def _connect(self):
        plain = socket.create_connection((self._host, self._port), self._timeout)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._tls:
            try:
                plain = self._encrypted(plain)
            except Exception:
                plain.close()
                raise
        self._socket, self._buffer = plain, b""

    def _encrypted(self, plain):
        import ssl  # noqa: PLC0415 - four megabytes that a plain address does not need

        try:
            return self.context(ssl).wrap_socket(plain, server_hostname=self._host)
        except ssl.SSLError:
            if self._ca_file is None:  # it may be in the system's bundle alone: all of that from now on
                self._context.load_default_certs()
            raise

    def trust_as(self, other):
        """Trusts whom the link *other* trusts, to the same server: what is read of authorities is kept once."""
        if self._tls:
            import ssl  # noqa: PLC0415 - four megabytes that a plain address does not need

            self._context = other.context(ssl)

    def context(self, ssl):
        """Whom it trusts, read once."""
        self._context = self._context or trust(ssl, self._ca_file)
        return self._context

    def whole_context(self):
        """Its context with all that the system trusts; None if it has none, or trusts nobody but an authority of its own."""
        if self._context is None or self._ca_file is not None:
            return None
        if self._context.cert_store_stats()["x509_ca"] < FEW:  # those alone that were looked up in a folder
            self._context.load_default_certs()
        return self._context

    def close(self):
        """Ends the connection."""
        if self._socket is not None:
            try:
                self._socket.close()
            except OSError:
                pass
        self._socket = None

    def ask(self, method, path, body=None, extra=None):
        """One request. A connection that the server has closed meanwhile is made anew, once. Raises `OSError`, `ValueError`."""
        fresh = self._socket is None
        try:
            return self._ask(method, path, body, extra)
        except (OSError, ValueError):
            self.close()
            if fresh:
                raise
        try:
            return self._ask(method, path, body, extra)
        except (OSError, ValueError):
            self.close()
            raise

    def _ask(self, method, path, body, extra):
        self._deadline = time.monotonic() + 2 * self._timeout  # for all of it, so that nobody who sends a byte a second holds us up
        if self._socket is None:
            self._connect()
        lines = ["%s %s%s HTTP/1.1" % (method, self._prefix, path), "Host: " + self._name, "User-Agent: tocsin-agent/" + VERSION]
        if self._key:
            lines.append("Authorization: Bearer " + self._key)
        if body is not None:
            lines += ["Content-Type: application/json", "Content-Encoding: gzip", "Content-Length: %d" % len(body)]
        lines += ["%s: %s" % pair for pair in (extra or {}).items()]
        sent_at = now_ms()
        self._socket.settimeout(self._timeout)
        self._socket.sendall("\r\n".join([*lines, "", ""]).encode("ascii") + (body or b""))
        answer = self._read()
        self._note_clock(answer, sent_at, now_ms())
        if answer.headers.get("connection", "").lower() == "close":
            self.close()
        return answer

    def _read(self):
        line = self._line()
        match = re.match(rb"HTTP/1\.[01] (\d{3})", line)
        if not match:
            raise OSError(errno.ECONNRESET, "the connection was closed" if not line else "this is no HTTP")
        headers = {}
        while True:
            line = self._line()
            if line in (b"\r\n", b"\n"):
                break
            if not line or len(headers) > 100:
                raise OSError(errno.ECONNRESET, "the answer was cut")
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.strip().lower()] = value.strip()
        status = int(match.group(1))
        return Answer(status, headers, b"" if status in (204, 304) else self._body(headers))

    def _body(self, headers):
        if headers.get("transfer-encoding", "").lower() == "chunked":
            return self._chunks()
        if "content-length" in headers:
            return self._exactly(int(headers["content-length"]))
        while len(self._buffer) < MAX_ANSWER and self._more():
            pass
        body = self._buffer
        self.close()
        return body

    def _chunks(self):
        body = b""
        while True:
            size = int(self._line().split(b";")[0], 16)
            body += self._exactly(size)
            self._line()
            if size == 0:
                return body
            if len(body) > MAX_ANSWER:
                raise ValueError("the answer is too long")

    def _exactly(self, length):
        if not 0 <= length <= MAX_ANSWER:
            raise ValueError("the answer is too long")
        while len(self._buffer) < length:
            if not self._more():
                raise OSError(errno.ECONNRESET, "the answer was cut")
        found, self._buffer = self._buffer[:length], self._buffer[length:]
        return found

    def _line(self):
        """Up to the end of a line; empty if the other side has closed."""
        while b"\n" not in self._buffer:
            if len(self._buffer) > 8192:
                raise ValueError("the answer has a line that is too long")
            if not self._more():
                return b""
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line + b"\n"

    def _more(self):
        """Whether more has come; waits for it."""
        self._socket.settimeout(max(0.001, min(self._deadline - time.monotonic(), self._timeout)))
        try:
            part = self._socket.recv(65536)
        except socket.timeout:
            raise OSError(errno.ETIMEDOUT, "the answer takes too long")
        self._buffer += part
        return bool(part)

    def _note_clock(self, answer, sent_at, heard_at):
        theirs = parse_date(answer.headers.get("date", ""))
        if theirs is not None and heard_at - sent_at < 10 * SECOND:
            drift = (sent_at + heard_at) // 2 - (theirs + 500)
            self.drift = 0 if abs(drift) <= SECOND else drift  # the header has whole seconds


FEW = 20  # authorities: a system has a hundred
HASHED = re.compile(r"[0-9a-f]{8}\.\d$")


def trust(ssl, ca_file):
    """A context for TLS 1.2 and newer that trusts *ca_file*, or else what the system does. From a folder where each authority's file
    has its hash for a name only the one that is needed is read: the whole bundle is two megabytes in memory.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if hasattr(context, "minimum_version"):
        context.minimum_version = ssl.TLSVersion.TLSv1_2
    else:
        context.options |= ssl.OP_NO_TLSv1 | ssl.OP_NO_TLSv1_1
    places = ssl.get_default_verify_paths()
    folder = None if os.environ.get(places.openssl_cafile_env) else places.capath
    if ca_file is not None:
        context.load_verify_locations(cafile=ca_file)
    elif folder and any(HASHED.match(name) for name in os.listdir(folder)):
        context.load_verify_locations(capath=folder)
    else:
        context.load_default_certs()
    return context


MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]


def parse_date(text):
    """``Sat, 02 May 2026 12:00:00 GMT`` in milliseconds; None for anything else."""
    match = re.match(r"\w{3}, (\d{2}) (\w{3}) (\d{4}) (\d{2}):(\d{2}):(\d{2}) GMT$", text)
    if not match or match.group(2) not in MONTHS:
        return None
    day, month, year, hour, minute, second = match.groups()
    year, month, day = int(year), MONTHS.index(month) + 1, int(day)
    years = year - (month <= 2)
    days = 365 * years + years // 4 - years // 100 + years // 400 + (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 719469
    return ((days * 24 + int(hour)) * 60 + int(minute)) * 60000 + int(second) * 1000


# --- The agent ---------------------------------------------------------------------------------------------------------


class Agent:
    """Collects, sends, keeps what could not be sent. One process for one state folder."""

    def __init__(self, machine, link, folder, host, interval, custom_folder):
        self.machine, self.link, self.host, self.interval = machine, link, host, interval
        self._folder, self._custom = folder, custom_folder
        self._lock = self._take_lock()
        self.spool = Spool(os.path.join(folder, "spool"))
        state = self._load()
        self._rates, self._slow_rates, self._panel_rates = (
            Rates(dict((key, tuple(value)) for key, value in state.get(name, {}).items()))
            for name in ("rates", "slow_rates", "panel_rates")
        )
        self._standing = state.get("standing", {})
        self._booted_at = state.get("booted_at")
        self.id = state.get("id") or new_id()
        self.link.drift = state.get("drift")
        self._slow_at, self._panel_at = state.get("slow_at", 0), state.get("panel_at", 0)
        self._slow_troubles, self._panel_troubles = state.get("slow_troubles", {}), state.get("panel_troubles", {})
        self._top = TopProcesses(machine)
        self._pause, self._send_at = 0.0, 0.0
        self._said = {}
        self._facts, self._facts_at = facts(machine), now_ms()
        self._saved_at, self._changed = 0, True
        self._stopping = False

    # What is kept between runs.

    def _take_lock(self):
        os.makedirs(self._folder, 0o700, exist_ok=True)
        file = open(os.path.join(self._folder, "lock"), "w")  # noqa: SIM115 - it is held as long as the agent lives
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            raise Fault("another agent already uses %s; give this one a folder of its own with --state" % self._folder)
        return file

    def _load(self):
        try:
            with open(os.path.join(self._folder, "state.json")) as file:
                found = json.load(file)
            return found if isinstance(found, dict) else {}
        except (OSError, ValueError):
            return {}

    def save_now_and_then(self):
        """Not at each round, to spare the disk: at once only what could leave an alert open."""
        if self._changed or abs(now_ms() - self._saved_at) > 5 * MINUTE:
            self.save()

    def save(self):
        """Notes what the next run has to know."""
        self._changed, self._saved_at = False, now_ms()
        state = {
            "id": self.id,
            "rates": self._rates.kept(),
            "slow_rates": self._slow_rates.kept(),
            "panel_rates": self._panel_rates.kept(),
            "standing": self._standing,
            "booted_at": self._booted_at,
            "drift": self.link.drift,
            "slow_at": self._slow_at,
            "panel_at": self._panel_at,
            "slow_troubles": self._slow_troubles,
            "panel_troubles": self._panel_troubles,
        }
        temporary = os.path.join(self._folder, "state.new")
        with open(temporary, "w") as file:
            json.dump(state, file)
            file.flush()
            os.fsync(file.fileno())
        os.rename(temporary, os.path.join(self._folder, "state.json"))

    # Collecting.

    def collect(self, at):
        """One round: what was measured, and what is told."""
        this = Round(self.machine, self._rates, at)
        for step in FAST:
            self._try(step, this)
        self._rates.turn()
        events = []
        if at - self._slow_at >= SLOW_EVERY - SECOND or at < self._slow_at:
            self._slow_at = at
            self._slow_troubles = self._beside(this, (*SLOW, lambda one: custom(one, self._custom)), self._slow_rates)
        if at - self._panel_at >= PANEL_EVERY - SECOND or at < self._panel_at:
            self._panel_at = at
            self._panel_troubles = self._beside(this, (panels,), self._panel_rates)
        if self.link.drift is not None:
            this.add("clock_drift_seconds", self.link.drift / 1000.0)
        this.add("agent_spool_dropped_count", self.spool.dropped)
        troubles = dict(this.troubles)
        troubles.update(self._slow_troubles)
        troubles.update(self._panel_troubles)
        events += self._changes(troubles)
        top = self._top.look(this)
        events += [top] if top else []
        events += self._reboot()
        return this.samples, events

    def _beside(self, this, steps, rates):
        """Steps that have a rhythm of their own, and so what they remember from one time to the next."""
        other = Round(self.machine, rates, this.at)
        for step in steps:
            self._try(step, other)
        rates.turn()
        this.samples += other.samples
        return other.troubles

    def _try(self, step, this):
        """One part that fails does not cost the others."""
        try:
            step(this)
        except Exception as error:
            name = getattr(step, "__name__", "part")
            self._say(name, "a part cannot be measured (%s): %s: %s" % (name, type(error).__name__, error))

    def _changes(self, troubles):
        """What has become wrong, and what is over, since the last round."""
        events = []
        for key, found in troubles.items():
            if key not in self._standing:
                events.append(dict(found, status="problem"))
        for key in self._standing:
            if key not in troubles:
                kind, _, subject = key.partition("|")
                events.append({"type": kind, "subject": subject, "status": "recovery", "title": "%s: it is over" % subject[:150]})
        self._standing = dict((key, 1) for key in troubles)
        self._changed = self._changed or bool(events)
        return events

    def _reboot(self):
        booted = self._facts["booted_at"]
        before, self._booted_at = self._booted_at, booted
        if before and booted and abs(parse_stamp(booted) - parse_stamp(before)) > MINUTE:
            return [{"type": "host.rebooted", "status": "info", "title": "%s has booted" % self.host, "attributes": {"booted_at": booted}}]
        return []

    # Sending.

    def _now(self):
        """The time for stamps: the server's, if this machine's clock is far off."""
        drift = self.link.drift
        return now_ms() - (drift if drift is not None and abs(drift) >= CLOCK_OFF else 0)

    def round(self):
        """Collects once and sends it, or keeps it."""
        at = self._now()
        samples, events = self.collect(at)
        body = {"samples": [self._sample(name, labels, value, at) for name, labels, value in samples]}
        self._hand_over("m", at, len(samples), json.dumps(body, separators=(",", ":")).encode())
        if events:
            told = [dict(one, id=new_id(), host=self.host, occurred_at=stamp(at)) for one in events]
            self._hand_over("e", at, len(told), json.dumps(told, separators=(",", ":")).encode())

    def _sample(self, name, labels, value, at):
        sample = {"name": name, "host": self.host, "at": stamp(at), "value": value}
        if labels:
            sample["labels"] = labels
        return sample

    def _hand_over(self, kind, at, count, body):
        """Sends it at once if nothing waits before it, and keeps it otherwise."""
        packed = gzipped(body)
        if time.time() >= self._send_at and self.spool.is_empty() and self._send(kind, packed):
            return
        try:
            self.spool.add(kind, at, count, packed)
        except OSError as error:
            self._say("spool", "what was measured cannot be kept: %s" % error)

    def drain(self, until):
        """Sends what waits, in order, until a moment; one batch in any case, so that rounds that take long never starve it."""
        is_first = True
        while not self._stopping and (is_first or time.time() < until) and time.time() >= self._send_at:
            is_first = False
            try:
                found = self.spool.next(self._now())
            except OSError as error:
                self._say("spool", "the spool cannot be read: %s" % error)
                return
            if found is None:
                return
            kind, bodies, place = found
            if not self._send(kind, bodies[0] if len(bodies) == 1 else _together(kind, bodies)):
                return
            self.spool.done(place)

    def _send(self, kind, body):
        """Whether the server has it now, or never will."""
        path = "/api/v1/metrics" if kind == "m" else "/api/v1/events"
        try:
            answer = self.link.ask("POST", path, body, {"X-Tocsin-Agent": self.card()})
        except (OSError, ValueError) as error:
            return self._failed("the server cannot be reached: %s" % error)
        if answer.status == 202:
            self._succeeded(answer)
            return True
        if answer.status in (413, 422):
            self._say("refused", "a batch was refused and is dropped: %s" % answer.reason())
            return True
        if 300 <= answer.status < 400:
            return self._failed("the server sends us elsewhere: give %s as --server" % answer.headers.get("location", "")[:200])
        return self._failed(answer.reason(), answer.headers.get("retry-after"))

    def card(self):
        """Who is here: for the server's list of hosts."""
        if abs(now_ms() - self._facts_at) > 60 * MINUTE:
            self._facts, self._facts_at = facts(self.machine), now_ms()
        card = {
            "id": self.id,
            "host": self.host,
            "version": VERSION,
            "interval_seconds": self.interval,
            "at": now_ms(),
            "facts": self._facts,
        }
        return json.dumps(card, separators=(",", ":"))

    def _succeeded(self, answer):
        if self._said.pop("server", None) is not None:
            log("the server takes what is sent")
        self._pause, self._send_at = 0.0, 0.0
        try:
            rejected = json.loads(answer.body.decode("utf-8")).get("rejected") or []
        except (ValueError, AttributeError):
            rejected = []
        if rejected:
            self._say("rejected", "some of what was sent was refused, for example: %s" % json.dumps(rejected[0].get("errors"))[:300])

    def _failed(self, reason, retry_after=None):
        """Waits longer each time, and never in step with others."""
        self._say("server", reason + "; it is kept, and sent again")
        self._pause = min(LONGEST_PAUSE, max(FIRST_PAUSE, self._pause * 2))
        wait = self._pause * (1.0 - ord(os.urandom(1)) / 512.0)
        if retry_after and retry_after.isdigit():
            wait = max(wait, min(LONGEST_PAUSE, float(retry_after)))
        self._send_at = time.time() + wait
        return False

    def _say(self, topic, text):
        """In the log once, until there is something else to be said of the same."""
        if self._said.get(topic) != text:
            log(text)
            self._said[topic] = text

    # Running.

    def greet(self):
        """Learns how far the clocks differ, before anything is stamped."""
        try:
            self.link.ask("GET", "/api/v1/live")
        except (OSError, ValueError) as error:
            self._say("server", "the server cannot be reached: %s" % error)

    def run_once(self):
        """For cron: one round, and what waits."""
        self.greet()
        self.drain(time.time() + 30)
        self.round()
        self.save()
        return self.spool.is_empty()

    def run(self):
        """Goes on until it is stopped by a signal."""
        wake = _signals(self.stop)
        self.greet()
        due = time.time()
        while not self._stopping:
            now = time.time()
            if now >= due or due - now > 2 * self.interval:  # or the clock was set back
                self.round()
                due = due + self.interval if 0 <= now - due < self.interval else now + self.interval
                self.save_now_and_then()
            self.drain(due)
            waiting = self._send_at if self._send_at and not self.spool.is_empty() else due
            _sleep(wake, max(0.05, min(due, max(waiting, time.time())) - time.time()))
        self.save()

    def close(self):
        """Lets the connection and the folder go."""
        self.link.close()
        self._lock.close()

    def stop(self, *_):
        """Ends `run` after what is under way."""
        self._stopping = True


METRICS_START, METRICS_END = b'{"samples":[', b"]}"  # as `Agent.round` writes them


def _together(kind, bodies):
    """Several batches of one kind as one; cut and put together as text, since to read them takes ten times their size."""
    start, end = (len(METRICS_START), len(METRICS_END)) if kind == "m" else (1, 1)
    members = b",".join(zlib.decompress(body, 31)[start:-end] for body in bodies)
    return gzipped(METRICS_START + members + METRICS_END if kind == "m" else b"[" + members + b"]")


def parse_stamp(text):
    """Milliseconds of what `stamp` wrote; 0 for anything else."""
    match = re.match(r"(\d{4})-(\d\d)-(\d\d)T(\d\d:\d\d:\d\d)", text or "")
    if not match:
        return 0
    year, month, day, clock = match.groups()
    return parse_date("Xxx, %s %s %s %s GMT" % (day, MONTHS[int(month) - 1], year, clock)) or 0


def _signals(stop):
    """A pipe that becomes readable when a signal comes, so that no sleep outlasts it."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    try:
        signal.set_wakeup_fd(writer)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, stop)
    except ValueError:  # not the main thread: whoever runs us there stops us
        pass
    return reader


def _sleep(wake, seconds):
    select.select([wake], [], [], seconds)


# --- Looking from here: only with --checks -------------------------------------------------------------------------------

LOOKS_AT_ONCE = 8
LOOK_BYTES = 64 * 1024  # of the head of an answer
GREETING_BYTES, GREETING_LINES = 16 * 1024, 50
LEAVES = {"smtp": b"QUIT\r\n", "imap": b"a1 LOGOUT\r\n", "pop3": b"QUIT\r\n", "ftp": b"QUIT\r\n"}
ECHO_GAP = 0.2  # seconds between two
DNS_PORT, DNS_TRIES = 53, 3
DNS_ROOT = b"\0\0\1\0\0\1\0\0\0\0\0\0\0\0\2\0\1"  # who serves the root (RFC 1035)
TOLD_FAULTS = {errno.ENETUNREACH: "our_network", errno.ENETDOWN: "our_network", errno.EADDRNOTAVAIL: "our_network"}
OWN_FAULTS = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EACCES, errno.EPERM)


class Unseen(Exception):
    """A look has ended without an answer: of which kind, why, and OpenSSL's number of what is wrong with a certificate."""

    def __init__(self, kind, words, code=0):
        super().__init__(words)
        self.kind, self.words, self.code = kind, words, code


class Authorities:
    """Whom looks trust: what the system does, read once for all of them, since it is two megabytes; if it can be, with the link
    to the server. What is added to the system is known when the agent is started again.
    """

    def __init__(self, link=None):
        import threading  # noqa: PLC0415 - only who looks needs it

        self._link, self._lock, self._kept = link, threading.Lock(), {}

    def context(self, ssl, trusted):
        """A context for TLS; with *trusted* False it takes any certificate."""
        with self._lock:  # who comes meanwhile waits, and does not read them, too
            if trusted not in self._kept:
                self._kept[trusted] = self._trusting(ssl) if trusted else self._careless(ssl)
            return self._kept[trusted]

    def _trusting(self, ssl):
        return (self._link and self._link.whole_context()) or ssl.create_default_context()

    def _careless(self, ssl):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context


class Look:
    """One look at what the server has named. It brings facts; what they mean is judged there. Never longer than it may take."""

    def __init__(self, errand, may_go_private, authorities=None):
        self.errand, self._authorities = errand, authorities or Authorities()
        self._may_go_private = may_go_private and bool(errand.get("private"))
        self._began = time.monotonic()
        self._until = self._began + errand["timeout_seconds"]
        self._socket, self._buffer, self._at = None, b"", ""
        self.ended_at = None
        self.found = {"check": errand["id"], "mark": errand["mark"], "phases": {}, "trace": [], "heard": False}

    def make(self):
        """Looks, and keeps what it found in `found`."""
        try:
            kinds = {"http": self._http, "tcp": self._tcp, "tls": self._tls, "dns": self._dns, "ping": self._ping, "banner": self._banner}
            kinds[self.errand["kind"]]()
        except Unseen as unseen:
            self._fail(unseen.kind, unseen.words, unseen.code)
        except socket.timeout:
            self._fail("timeout", "")
        except OSError as error:
            self._fail("broke_off", "the connection was closed: %s" % (error.strerror or error))
        except (ValueError, KeyError, UnicodeError) as error:
            self._fail("our_machine", "the agent could not look: %s" % error)
        finally:
            self._close()
            self.ended_at = time.monotonic()
            self.found["ms"] = round((self.ended_at - self._began) * 1000, 2)

    def _fail(self, kind, words, code=0):
        self.found.update(fault=kind, words=words[:500], at=self._at, code=code)
        if self._at == "body" and "status" in self.found:
            self.found["body"] = base64_of(self._buffer[:4096])

    def _note(self, text):
        if len(self.found["trace"]) < 60:
            self.found["trace"].append([round((time.monotonic() - self._began) * 1000, 2), text[:300]])

    def _left(self):
        left = self._until - time.monotonic()
        if left <= 0:
            raise socket.timeout()
        return left

    def _timed(self, phase, work, *given):
        self._at, began = phase, time.monotonic()
        try:
            answer = work(*given)
        finally:
            phases = self.found["phases"]
            phases[phase] = round(phases.get(phase, 0.0) + (time.monotonic() - began) * 1000, 2)
        self._at = ""
        return answer

    def _close(self):
        if self._socket is not None:
            try:
                self._socket.close()
            except OSError:
                pass
        self._socket, self._buffer = None, b""

    # Connecting.

    def _connect(self, host, port):
        addresses = self._timed("dns", self._resolve, host, port)
        self._timed("connect", self._dial, addresses, port)

    def _resolve(self, host, port):
        try:
            found = socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)
        except socket.gaierror as error:
            if error.errno in (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)):
                raise Unseen("no_name", "the name %s does not exist, or has no address" % host)
            raise Unseen("our_resolver", "its name server could not say where %s is: %s" % (host, error.strerror))
        except UnicodeError:
            raise Unseen("no_name", "%s cannot be a name" % host)
        if time.monotonic() >= self._until:
            raise Unseen("our_resolver", "its name server did not answer in time")
        addresses = list(OrderedDict(((family, address), None) for family, _, _, _, address in found))[:4]
        self._note("%s is at %s" % (host, ", ".join(address[0] for _, address in addresses)))
        return addresses

    def _dial(self, addresses, port):
        unseen = None
        for place, (family, address) in enumerate(addresses):
            self.found["address"], self.found["port"] = address[0], port
            try:
                self._refuse_forbidden(address[0])
                self._dial_one(family, address, self._left() / (len(addresses) - place))
            except Unseen as error:
                self._note("%s: %s" % (address[0], error.words))
                if unseen is None or error.kind == "refused":
                    unseen = error
                continue
            self.found["heard"] = True
            self._note("connected to %s port %d" % (address[0], port))
            return
        self.found["heard"] = unseen.kind == "refused"
        raise unseen

    def _refuse_forbidden(self, address):
        import ipaddress  # noqa: PLC0415 - only who looks needs it

        ip = ipaddress.ip_address(address.partition("%")[0])
        hidden = getattr(ip, "ipv4_mapped", None) or getattr(ip, "sixtofour", None) or (getattr(ip, "teredo", None) or (None, None))[1]
        for one in (ip, hidden) if hidden is not None else (ip,):
            if one.is_link_local or one.is_multicast or one.is_unspecified:
                raise Unseen("our_rules", "%s is no address that a check may go to" % address)
            is_nat64 = one.version == 6 and one in ipaddress.ip_network("64:ff9b::/96")
            if not self._may_go_private and (not one.is_global or one.is_reserved or is_nat64):
                raise Unseen("our_rules", "%s is a private address, and the agent may not go there" % address)

    def _dial_one(self, family, address, within):
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.settimeout(max(0.05, within))
            sock.connect(address)
        except socket.timeout:
            sock.close()
            raise Unseen("silent", "no connection within %.1f s" % (time.monotonic() - self._began))
        except OSError as error:
            sock.close()
            words = os.strerror(error.errno).lower() if error.errno else "it failed"
            if error.errno in (errno.ECONNREFUSED, errno.ECONNRESET):
                raise Unseen("refused", "the connection was refused (%s)" % words)
            if error.errno in OWN_FAULTS:
                raise Unseen("our_machine", "its machine could not connect: %s" % words)
            raise Unseen(TOLD_FAULTS.get(error.errno, "silent"), "no connection: %s" % words)
        self._socket = sock

    def _secure(self, name, trusted):
        import ssl  # noqa: PLC0415 - four megabytes that a plain address does not need

        context = self._authorities.context(ssl, trusted)
        self._socket.settimeout(self._left())
        try:
            self._socket = context.wrap_socket(self._socket, server_hostname=name)
        except socket.timeout:
            raise
        except getattr(ssl, "CertificateError", ssl.SSLError) as error:  # of the name alone in Python 3.6, of all of it since
            raise Unseen("certificate", getattr(error, "verify_message", "") or str(error), getattr(error, "verify_code", 62))
        except ssl.SSLError as error:
            reason = (error.reason or "").replace("_", " ").lower()
            if reason == "certificate verify failed":
                raise Unseen("certificate", "it does not verify")
            raise Unseen("tls", "the TLS handshake failed: %s" % (reason or "no reason was given"))
        except (OSError, EOFError):
            raise Unseen("broke_off", "the connection was closed during the TLS handshake")
        self.found["tls"] = "%s %s" % (self._socket.version(), (self._socket.cipher() or ("",))[0])
        self._note("TLS is on: " + self.found["tls"])
        certificate = self._socket.getpeercert(True)
        if certificate and len(certificate) <= 16384:
            self.found["certificate"] = base64_of(certificate)

    # The kinds.

    def _tcp(self):
        self._connect(self.errand["host"], self.errand["port"])

    def _tls(self):
        self._connect(self.errand["host"], self.errand["port"])
        self._timed("tls", self._secure, self.errand["name"], True)

    def _banner(self):
        self._connect(self.errand["host"], self.errand["port"])
        if self.errand.get("secure"):
            self._timed("tls", self._secure, self.errand["host"], True)
        self._timed("greeting", self._greeting, self.errand["protocol"])
        self.found["body"] = base64_of(self._buffer[:GREETING_BYTES])
        self._note("< %s" % self._buffer[:200].decode("latin-1").strip())
        try:
            self._socket.sendall(LEAVES.get(self.errand["protocol"], b""))
        except OSError:
            pass

    def _greeting(self, protocol):
        """Reads on until the line of a greeting that counts has ended, or the connection."""
        begun, lines = 0, 0
        while lines < GREETING_LINES and len(self._buffer) < GREETING_BYTES:
            end = self._buffer.find(b"\n", begun)
            if end < 0:
                if not self._more():
                    return
                continue
            line, begun, lines = self._buffer[begun:end], end + 1, lines + 1
            if line.startswith(b"SSH-") if protocol == "ssh" else protocol not in ("smtp", "ftp") or line[3:4] != b"-":
                return

    def _ping(self):
        family, address = self._timed("dns", self._resolve, self.errand["host"], 0)[0]
        self.found["address"] = address[0]
        self._refuse_forbidden(address[0])
        self._socket = echo_socket(family)
        if self._socket is not None:
            self.found["echoes"] = self._timed("ping", self._echoes, family, address)
            self.found["heard"] = bool(self.found["echoes"])
            return
        try:
            self._connect(self.errand["host"], self.errand["port"])
        except Unseen as unseen:
            if unseen.kind != "refused":  # who refuses is there
                raise

    def _echoes(self, family, address):
        """The milliseconds of each echo; all have the same time limit, which leaves room to say how many came."""
        try:
            self._socket.connect(address)
        except OSError as error:
            raise Unseen("our_network", "no way to %s: %s" % (address[0], (error.strerror or "it failed").lower()))
        until = time.monotonic() + max(0.2, self._left() - 0.3)
        mark, sent, took = os.urandom(8), {}, {}
        for number in range(self.errand["count"]):
            sent[number] = time.monotonic()
            try:
                self._socket.send(echo_request(family, number, mark))
            except OSError as error:
                self._note("not sent: %s" % (error.strerror or "it failed").lower())
            is_last = number == self.errand["count"] - 1
            self._collect(family, mark, sent, took, until if is_last else min(until, sent[number] + ECHO_GAP), is_last)
        return [took[number] for number in sorted(took)]

    def _collect(self, family, mark, sent, took, until, is_last):
        while not (is_last and len(took) == len(sent)):
            left = until - time.monotonic()
            if left <= 0:
                return
            self._socket.settimeout(left)
            try:
                packet = self._socket.recv(2048)
            except socket.timeout:
                return
            except OSError:  # what a router on the way says, one error for each packet
                time.sleep(0.01)
                continue
            is_echo = len(packet) >= 16 and packet[0] == (129 if family == socket.AF_INET6 else 0) and packet[8:16] == mark
            number = int.from_bytes(packet[6:8], "big") if is_echo else None
            if number in sent and number not in took:
                took[number] = round((time.monotonic() - sent[number]) * 1000, 2)

    def _dns(self):
        import binascii  # noqa: PLC0415 - only who looks needs it

        asked, named = binascii.a2b_base64(self.errand["asked"]), self.errand.get("host")
        if named:
            server, port = self._timed("dns", self._resolve, named, self.errand["port"])[0][1][0], self.errand["port"]
            self._refuse_forbidden(server)
        else:
            server, port = own_name_server(), DNS_PORT
            if server is None:
                raise Unseen("our_resolver", "its machine has no name server: name one for the check")
        self.found["address"], self.found["port"] = server, port
        answer = self._timed("query", self._query, server, port, asked)
        if answer is None:
            raise Unseen("silent" if named else "our_resolver", "the name server %s did not answer" % (named or server))
        if not named and answer[3] & 15 == 2 and not self._knows_the_root(server):
            raise Unseen("our_resolver", "its own name server %s fails" % server)
        self.found["body"], self.found["heard"] = base64_of(asked[:2] + answer[2:]), True

    def _knows_the_root(self, server):
        answer = self._query(server, DNS_PORT, DNS_ROOT)
        return answer is not None and answer[3] & 15 == 0

    def _query(self, server, port, asked):
        """What a name server answers to a question, under a number of our own; None: nothing."""
        asked = os.urandom(2) + asked[2:]
        each = max(0.1, self._left() * 0.8 / DNS_TRIES)
        sock = socket.socket(socket.AF_INET6 if ":" in server else socket.AF_INET, socket.SOCK_DGRAM)
        try:
            sock.connect((server, port))
            for _ in range(DNS_TRIES):
                answer = heard_by_udp(sock, asked, time.monotonic() + each)
                if answer is not None:
                    return self._query_by_tcp(server, port, asked) if answer[2] & 2 else answer
            return None
        except OSError:
            raise Unseen("our_network", "no way to the name server %s" % server)
        finally:
            sock.close()

    def _query_by_tcp(self, server, port, asked):
        try:
            sock = socket.create_connection((server, port), self._left())
            try:
                sock.sendall(struct.pack("!H", len(asked)) + asked)
                answer = b""
                while len(answer) < 2 or len(answer) < 2 + struct.unpack_from("!H", answer)[0]:
                    sock.settimeout(self._left())
                    part = sock.recv(65536)
                    if not part:
                        raise Unseen("garbled", "its answer is too long for UDP, and it does not give it by TCP")
                    answer += part
            finally:
                sock.close()
        except OSError:
            raise Unseen("garbled", "its answer is too long for UDP, and it does not give it by TCP")
        return answer[2:]

    def _http(self):
        url, method, seen = self.errand["url"], self.errand.get("method", "GET"), set()
        for _ in range(self.errand.get("redirects", 0) + 1):
            seen.add(url)
            status, headers = self._ask(url, method)
            where = dict((name.lower(), value) for name, value in reversed(headers)).get("location")
            if status not in (301, 302, 303, 307, 308) or not where or not self.errand.get("redirects"):
                return
            url = joined(url, where)
            if not WEB_ADDRESS.match(url):
                raise Unseen("redirects", "it redirects to what is no web address: %r" % where[:80])
            self._note("redirected to " + url)
            if url in seen:
                raise Unseen("redirects", "it redirects in a circle, back to %s" % url[:120])
            method = method if method == "HEAD" or status in (307, 308) else "GET"
            self._close()
        raise Unseen("redirects", "it redirects more than %d times" % self.errand["redirects"])

    def _ask(self, url, method):
        scheme, host, port, path = WEB_ADDRESS.match(url).groups()
        is_secure = scheme.lower() == "https"
        bare = host.strip("[]")
        self._connect(bare, int(port or (443 if is_secure else 80)))
        if is_secure:
            self._timed("tls", self._secure, bare, self.errand.get("trusted", True))
        path = (path if path and path.startswith("/") else "/" + (path or "")).partition("#")[0]
        own = self.errand.get("headers", {})
        given = {name.lower() for name in own}
        usual = [("User-Agent", "tocsin"), ("Accept", "*/*"), ("Accept-Encoding", "identity")]
        lines = ["%s %s HTTP/1.1" % (method, path), "Host: " + (host if port is None else "%s:%s" % (host, port))]
        lines += ["%s: %s" % pair for pair in [pair for pair in usual if pair[0].lower() not in given] + sorted(own.items())]
        self._socket.settimeout(self._left())
        self._socket.sendall("\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1"))
        self._note("> %s %s" % (method, path))
        self.found["url"] = url[:2000]
        self._timed("first byte", self._more)
        status, headers = self._timed("body", self._answer, method)
        return status, headers

    # An answer.

    def _more(self):
        self._socket.settimeout(self._left())
        part = self._socket.recv(32768)
        self._buffer += part
        return bool(part)

    def _answer(self, method):
        status, headers = self._head()
        while status < 200:
            status, headers = self._head()
        named = dict((name.lower(), value) for name, value in headers)
        limit = self.errand.get("max_body", 4096)
        shown = [[name[:100], value[:500]] for name, value in headers if name.lower() != "set-cookie"]
        self.found["status"], self.found["headers"] = status, shown[:40]
        body, is_cut = (b"", False) if method == "HEAD" or status in (204, 304) else self._body(named, limit)
        if named.get("content-encoding", "").lower() in ("gzip", "deflate"):
            try:
                body = zlib.decompressobj(47).decompress(body, limit)
            except zlib.error:
                pass
        self.found["body"], self.found["is_cut"] = base64_of(body), is_cut
        self._note("< %d, %d bytes%s" % (status, len(body), " and more" if is_cut else ""))
        return status, headers

    def _head(self):
        while b"\r\n\r\n" not in self._buffer and b"\n\n" not in self._buffer:
            if len(self._buffer) > LOOK_BYTES:
                raise Unseen("not_http", "its headers are longer than 64 KiB")
            if not self._more():
                words = "what answers there does not speak HTTP: %r" % self._buffer[:80].decode("latin-1")
                raise Unseen("not_http", words if self._buffer else "it closed the connection without an answer")
        head, self._buffer = re.split(b"\r?\n\r?\n", self._buffer, maxsplit=1)
        lines = head.decode("latin-1").splitlines()
        match = re.match(r"HTTP/1\.[01] ([1-9]\d\d)\b", lines[0] if lines else "")
        if not match:
            raise Unseen("not_http", "what answers there does not speak HTTP: %r" % head[:80].decode("latin-1"))
        pairs = (line.partition(":") for line in lines[1:])
        return int(match.group(1)), [(name.strip(), value.strip()) for name, _, value in pairs if name.strip()]

    def _body(self, named, limit):
        if "chunked" in named.get("transfer-encoding", "").lower():
            return self._chunks(limit)
        length = named.get("content-length")
        if length is not None and not re.match(r"\d{1,18}$", length):
            raise Unseen("not_http", "its length cannot be read: %r" % length[:40])
        wanted = limit + 1 if length is None else min(limit + 1, int(length))
        while len(self._buffer) < wanted:
            if not self._more():
                if length is None:
                    break
                raise Unseen("not_http", "it broke off after %d bytes of its answer" % len(self._buffer))
        body = self._buffer[:wanted]
        return body[:limit], len(body) > limit

    def _chunks(self, limit):
        body = b""
        while len(body) <= limit:
            while b"\n" not in self._buffer:
                if len(self._buffer) > 1024 or not self._more():
                    raise Unseen("not_http", "it broke off after %d bytes of its answer" % len(body))
            line, _, self._buffer = self._buffer.partition(b"\n")
            match = re.match(rb"\s*([0-9a-fA-F]{1,15})", line)
            if not match:
                raise Unseen("not_http", "its answer comes in pieces that cannot be read")
            size = int(match.group(1), 16)
            if size == 0:
                return body, False
            wanted = min(size + 2, limit + 3 - len(body))
            while len(self._buffer) < wanted:
                if not self._more():
                    raise Unseen("not_http", "it broke off after %d bytes of its answer" % len(body))
            body += self._buffer[: min(size, wanted)]
            self._buffer = self._buffer[size + 2 :]
        return body[:limit], True


WEB_ADDRESS = re.compile(r"(?i)(https?)://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?([/?][!-~]*)?$")


def echo_socket(family):
    """An ICMP socket, if this machine allows one to this user (``net.ipv4.ping_group_range``)."""
    try:
        return socket.socket(family, socket.SOCK_DGRAM, socket.IPPROTO_ICMPV6 if family == socket.AF_INET6 else socket.IPPROTO_ICMP)
    except OSError:
        return None


def echo_request(family, number, mark):
    """An echo request (RFC 792, RFC 4443); the kernel fills in the identifier, and for IPv6 the checksum."""
    kind, payload = (128 if family == socket.AF_INET6 else 8), mark.ljust(32, b"\0")
    packet = struct.pack("!BBHHH", kind, 0, 0, 0, number) + payload
    total = sum(struct.unpack("!%dH" % (len(packet) // 2), packet))
    total = (total >> 16) + (total & 0xFFFF)
    return struct.pack("!BBHHH", kind, 0, ~(total + (total >> 16)) & 0xFFFF, 0, number) + payload


def own_name_server(path="/etc/resolv.conf"):
    """The first name server of this machine, or None."""
    try:
        with open(path, errors="replace") as file:
            found = [words[1] for words in (line.split() for line in file) if len(words) > 1 and words[0] == "nameserver"]
    except OSError:
        return None
    return found[0] if found else None


def heard_by_udp(sock, asked, until):
    """The answer to *asked*, sent now; None if none comes. Answers to other questions are not listened to."""
    try:
        sock.send(asked)
        while time.monotonic() < until:
            sock.settimeout(max(0.01, until - time.monotonic()))
            answer = sock.recv(65535)
            if (
                answer[:2] == asked[:2]
                and len(answer) >= len(asked)
                and answer[2] & 128
                and answer[12 : len(asked)].lower() == asked[12:].lower()
            ):
                return answer
    except socket.timeout:
        return None
    except OSError:  # a port where nobody listens
        time.sleep(max(0, min(0.2, until - time.monotonic())))
    return None


def joined(url, where):
    """Where a redirect leads."""
    from urllib.parse import urljoin  # noqa: PLC0415 - only who looks needs it

    return urljoin(url, where.strip())


def base64_of(raw):
    """Bytes in JSON."""
    import binascii  # noqa: PLC0415 - only who looks needs it

    return binascii.b2a_base64(raw).decode("ascii").strip()


class Looks:
    """Asks the server what to look at from here, looks, and says what was found; in threads, so that no round of measuring waits.

    What cannot be said is thrown away: the network that lost it may have made it, too.
    """

    def __init__(self, link, card, may_go_private):
        import threading  # noqa: PLC0415 - only who looks needs it

        self._threading, self._link, self._card, self._may_go_private = threading, link, card, may_go_private
        self._authorities = Authorities(link)
        self._wake = threading.Event()
        self._lock = threading.Lock()
        self._stopping, self._said = False, None
        self._under_way, self._ended = {}, []
        self._errands, self._ask_at, self._pause = {}, 0.0, 0.0

    def start(self):
        """Begins; it ends with the process, or by `stop`."""
        self._threading.stack_size(256 * 1024)
        self._threading.Thread(target=self._run, name="looks", daemon=True).start()

    def stop(self):
        """Begins no more looks."""
        self._stopping = True
        self._wake.set()

    def _run(self):
        while not self._stopping:
            self._wake.clear()
            try:
                wait = self.turn()
            except Exception as error:
                log("the checks from here failed: %s: %s" % (type(error).__name__, error))
                wait = 30.0
            self._wake.wait(wait)

    def turn(self):
        """Begins what is due, says what was found; the seconds until there may be something to do."""
        now = time.monotonic()
        self._begin_due(now)
        if now >= self._ask_at:
            self._exchange(now)
            now = time.monotonic()
            self._begin_due(now)
        due = [at for at, _ in self._errands.values()] if len(self._under_way) < LOOKS_AT_ONCE else []
        return max(0.05, min([*due, self._ask_at]) - now)

    def _begin_due(self, now):
        for key, (at, errand) in sorted(self._errands.items(), key=lambda pair: pair[1][0]):
            if at > now or len(self._under_way) >= LOOKS_AT_ONCE:
                return
            del self._errands[key]
            if key not in self._under_way:
                look = Look(errand, self._may_go_private, self._authorities)
                self._under_way[key] = look
                self._threading.Thread(target=self._make, args=(look,), name="look", daemon=True).start()

    def _make(self, look):
        look.make()
        with self._lock:
            self._under_way.pop(look.errand["id"], None)
            self._ended.append(look)
        self._ask_at = min(self._ask_at, time.monotonic() + 0.2)  # what ends together is said together
        self._wake.set()

    def _exchange(self, now):
        with self._lock:
            ended, self._ended = self._ended[:50], self._ended[50:]
        looks = [dict(look.found, age_ms=int((now - min(now, look.ended_at)) * 1000)) for look in ended]
        body = gzipped(json.dumps({"looks": looks}, separators=(",", ":")).encode())
        try:
            answer = self._link.ask("POST", "/api/v1/agents/checks", body, {"X-Tocsin-Agent": self._card()})
            work = json.loads(answer.body.decode("utf-8")) if answer.status == 200 else None
            reason = answer.reason()
        except (OSError, ValueError) as error:
            work, reason = None, str(error)
        if work is None:
            self._say("the server gives no checks: %s" % reason)
            self._pause = min(LONGEST_PAUSE, max(FIRST_PAUSE, self._pause * 2))
            self._errands, self._ask_at = {}, now + self._pause * (1.0 + ord(os.urandom(1)) / 512.0)
            return
        self._say(None)
        self._pause = 0.0
        self._ask_at = now + max(1.0, work["ask_again_ms"] / 1000.0)
        with self._lock:
            busy = {look.errand["id"] for look in self._ended}.union(self._under_way)
        self._errands = {one["id"]: (now + one["in_ms"] / 1000.0, one) for one in work["checks"] if one["id"] not in busy}

    def _say(self, text):
        if text != self._said:
            log(text or "the server gives checks")
            self._said = text


# --- Being set up ------------------------------------------------------------------------------------------------------


def read_length(text):
    """``5m`` -> seconds. Raises `Fault`."""
    match = re.match(r"(\d{1,5})(s|m|h)?$", text.strip())
    seconds = int(match.group(1)) * {"s": 1, "m": 60, "h": 3600}[match.group(2) or "s"] if match else 0
    if not 10 <= seconds <= 3600:
        raise Fault("--interval %r is not between 10s and 1h. Example: 5m" % text[:20])
    return seconds


def read_config(path):
    """``NAME=value`` lines, as systemd's EnvironmentFile has them."""
    found = {}
    try:
        with open(path) as file:
            for line in file:
                name, sep, value = line.strip().partition("=")
                if sep and not name.startswith("#"):
                    found[name.strip()] = value.strip().strip("\"'")
    except OSError:
        pass
    return found


OPTIONS = (
    ("server", "URL", "where Tocsin is: https://alarm.example.com"),
    ("key", "KEY", "a key of scope ingest; everybody on this server can read a command line: better in a file"),
    ("key-file", "FILE", "a file that holds the key alone"),
    ("register", "TOKEN", "fetch a key for this server with a token that works once, keep it, and end"),
    ("interval", "TIME", "how often: 10s to 1h (default: 5m)"),
    ("checks", "WHERE", "look at checks that name this server: public (addresses of the internet alone) or all"),
    ("once", None, "one round, for cron"),
    ("print", None, "show what would be sent, send nothing"),
    ("host", "NAME", "the name of this server (default: its host name)"),
    ("state", "FOLDER", "where it keeps what waits (default: /var/lib/tocsin-agent)"),
    ("metrics", "FOLDER", "custom metrics, files *.prom (default: metrics in the state folder)"),
    ("ca-file", "FILE", "certificates to trust instead of the system's"),
    ("config", "FILE", "the settings file (default: %s)" % CONFIG),
    ("version", None, "which version this is"),
    ("help", None, "this list"),
)


def read_words(words):
    """The command line as option -> value. By hand, since `argparse` costs a megabyte. Raises `Fault`."""
    takes = dict((name, value) for name, value, _ in OPTIONS)
    found, rest = {}, ["--help" if word == "-h" else word for word in words]
    while rest:
        word = rest.pop(0)
        name, sep, value = word.partition("=")
        name = name[2:] if name.startswith("--") else None
        if name not in takes or (sep and takes[name] is None):
            raise Fault("%r is no option; --help lists them" % (word if name is None else "--" + name)[:50])
        if takes[name] is None:
            found[name] = True
        elif sep or (rest and not rest[0].startswith("--")):
            found[name] = value if sep else rest.pop(0)
        else:
            raise Fault("--%s needs a value: --%s %s" % (name, name, takes[name]))
    return found


def usage():
    """What --help shows."""
    lines = ["usage: tocsin-agent [options]", "", "Reads how this server is and pushes it to Tocsin.", ""]
    lines += ["  %-19s %s" % ("--" + name + (" " + value if value else ""), text) for name, value, text in OPTIONS]
    names = "TOCSIN_SERVER, TOCSIN_AGENT_KEY, TOCSIN_AGENT_KEY_FILE, TOCSIN_AGENT_INTERVAL, TOCSIN_AGENT_HOST"
    return "\n".join([*lines, "", "Settings: %s" % names, "in the environment or in %s.\n" % CONFIG])


class Settings:
    """What the command line *said*, then the environment, then the file."""

    def __init__(self, said, environment):
        kept = read_config(said.get("config", CONFIG))

        def find(option, name, default=None):
            return said.get(option) or environment.get(name) or kept.get(name) or default

        self.once, self.show = said.get("once", False), said.get("print", False)
        self.register = find("register", "TOCSIN_AGENT_REGISTER")
        self.server = find("server", "TOCSIN_SERVER")
        self.host = find("host", "TOCSIN_AGENT_HOST", socket.gethostname())
        if not re.match(r"[\x21-\x7e]{1,253}$", self.host):
            raise Fault("--host %r is no host name. Example: web-1.example.com" % self.host[:100])
        self.interval = read_length(find("interval", "TOCSIN_AGENT_INTERVAL", "5m"))
        home = "/var/lib/tocsin-agent" if os.geteuid() == 0 else os.path.expanduser("~/.local/state/tocsin-agent")
        self.state = find("state", "TOCSIN_AGENT_STATE", environment.get("STATE_DIRECTORY") or home)
        self.metrics = find("metrics", "TOCSIN_AGENT_METRICS", os.path.join(self.state, "metrics"))
        self.checks = find("checks", "TOCSIN_AGENT_CHECKS", "no")
        if self.checks not in ("no", "public", "all"):
            raise Fault("--checks %r is none of no, public and all. Example: public" % self.checks[:20])
        self.ca_file = find("ca-file", "TOCSIN_AGENT_CA_FILE")
        self._said_key = said.get("key")
        self._key_file = find("key-file", "TOCSIN_AGENT_KEY_FILE")
        self._key = find(None, "TOCSIN_AGENT_KEY")
        self._credentials = environment.get("CREDENTIALS_DIRECTORY")
        if not self.server and not self.show:
            raise Fault("no server: give --server or TOCSIN_SERVER. Example: https://alarm.example.com")

    def own_key_file(self):
        """Where a key that was fetched is kept."""
        return os.path.join(self.state, "key")

    def key(self):
        """The key, from wherever it is. Raises `Fault`."""
        if self._said_key:
            log("the key stands on the command line, where everybody on this server can read it: better --key-file")
            return _clean_key(self._said_key)
        if self._key:
            return _clean_key(self._key)
        files = [self._key_file, self._credentials and os.path.join(self._credentials, "tocsin-agent-key"), self.own_key_file()]
        for path in files:
            if path and (path == self._key_file or os.path.exists(path)):
                try:
                    with open(path) as file:
                        return _clean_key(file.read())
                except OSError as error:
                    raise Fault("the key cannot be read: %s" % error)
        raise Fault("no key: give --key-file or TOCSIN_AGENT_KEY, or fetch one with --register TOKEN")


def _clean_key(text):
    key = text.strip()
    if not re.match(r"[\x21-\x7e]{1,500}$", key):
        raise Fault("the key must be one word. Example: tocsin_ and 43 characters")
    return key


def register(settings):
    """Fetches a key of this server's own, and keeps it where the agent finds it. Raises `Fault`."""
    os.makedirs(settings.state, 0o700, exist_ok=True)
    link = Link(settings.server, None, settings.ca_file)
    body = gzipped(json.dumps({"token": settings.register, "host": settings.host}).encode())
    try:
        answer = link.ask("POST", "/api/v1/agents/register", body)
    except (OSError, ValueError) as error:
        raise Fault("the server cannot be reached: %s" % error)
    if answer.status != 201:
        raise Fault("no key was given: %s" % answer.reason())
    key = _clean_key(json.loads(answer.body.decode("utf-8"))["key"])
    temporary = settings.own_key_file() + ".new"
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(key + "\n")
    os.rename(temporary, settings.own_key_file())
    log("this server has a key of its own now, in %s" % settings.own_key_file())


def show(settings):
    """Two rounds, a second apart, on standard output."""
    machine, rates = Machine(), Rates()
    for wait in (1, 0):
        this = Round(machine, rates, now_ms())
        for step in FAST + ((*SLOW, panels, lambda one: custom(one, settings.metrics)) if wait == 0 else ()):
            step(this)
        rates.turn()
        time.sleep(wait)
    for name, labels, value in this.samples:
        text = ",".join('%s="%s"' % pair for pair in sorted(labels.items()))
        sys.stdout.write("%s%s %s\n" % (name, "{%s}" % text if text else "", value))
    for one in this.troubles.values():
        sys.stdout.write("# %s: %s\n" % (one["type"], one["title"]))


def begin_anew(state):
    """Becomes the same program from code that is compiled already: to read the source takes four megabytes that are never given back."""
    if __file__.endswith(".pyc"):
        return
    import py_compile  # noqa: PLC0415 - once, by the process that is then replaced

    code = os.path.join(state, "agent.pyc")
    try:
        os.makedirs(state, 0o700, exist_ok=True)
        py_compile.compile(__file__, code, doraise=True)
    except (OSError, py_compile.PyCompileError):
        return  # as it is, then
    os.execv(sys.executable, [sys.executable, "-I", "-S", code, *sys.argv[1:]])  # noqa: S606 - no shell, and the program is this one


def main(words=None):
    """The program. 0: done; 1: it failed, or something waits for the server; 2: wrong usage."""
    os.umask(0o077)
    try:
        said = read_words(sys.argv[1:] if words is None else words)
        if "help" in said or "version" in said:
            sys.stdout.write(usage() if "help" in said else "tocsin-agent %s\n" % VERSION)
            return 0
        settings = Settings(said, os.environ)
        if settings.show:
            show(settings)
            return 0
        if settings.register:
            register(settings)
            return 0
        if __name__ == "__main__" and not settings.once:
            begin_anew(settings.state)
        link = Link(settings.server, settings.key(), settings.ca_file)
        agent = Agent(Machine(), link, settings.state, settings.host, settings.interval, settings.metrics)
        looks = None
        try:
            if settings.once:
                return 0 if agent.run_once() else 1
            if settings.checks != "no":
                beside = Link(settings.server, settings.key(), settings.ca_file)
                beside.trust_as(link)
                looks = Looks(beside, agent.card, settings.checks == "all")
                looks.start()
            agent.run()
        finally:
            if looks is not None:
                looks.stop()
            agent.close()
    except Fault as fault:
        log(str(fault))
        return 2
    except OSError as error:
        log("%s" % error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
