"""What the agent reads out of /proc and /sys."""

import os
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from agent import tocsin_agent as agent
from tests.agent.build import AT, FILES, FakeLink, Files, an_agent, values
from tocsin.core.clock import DAY, MINUTE, SECOND
from tocsin.metrics import rules as metric_rules

pytestmark = pytest.mark.claim("M1")


@pytest.fixture
def machine(tmp_path: Path) -> Files:
    return Files(tmp_path / "root")


@pytest.fixture
def link() -> FakeLink:
    return FakeLink()


@pytest.fixture
def one(machine: Files, tmp_path: Path, link: FakeLink) -> Iterator[Any]:
    with closing(an_agent(machine, tmp_path, link)) as one:
        yield one


def collect(one: Any, at: int = AT) -> tuple[dict[str, float], list[dict[str, Any]]]:
    samples, events = one.collect(at)
    return values(samples), events


@pytest.mark.claim("K2", "origin:M8", "origin:M9", "M10")
def test_the_first_round_has_what_needs_no_comparison(one: Any) -> None:
    found, events = collect(one)
    wanted = {
        "load_1m": 0.52,
        "memory_percent": 75.0,
        "swap_percent": 25.0,
        "cpu_count": 2,
        "processes_running": 2,
        "processes_blocked": 1,
        "processes_count": 2,
        "processes_zombies": 1,
        "network_connections": 2,
        "network_state_connections{established}": 1,
        "network_state_connections{listen}": 2,
        "port_listening_flag{22}": 1,
        "port_listening_flag{443}": 1,
        "uptime_seconds": 28800.5,
        "raid_missing_disks{md0}": 0,
        "disk_read_only_flag{/}": 0,
    }
    assert {name: found.get(name) for name in wanted} == wanted
    assert 0 <= found["disk_percent{/}"] <= 100
    assert "disk_percent{/again}" not in found
    assert "cpu_percent" not in found
    assert events == []


@pytest.mark.claim("K2", "origin:M7", "M10")
def test_the_second_round_has_what_counters_have_grown_by(one: Any, machine: Files) -> None:
    collect(one)
    machine.write("/proc/stat", "cpu  1300 100 600 8500 500 0 0 0 0 0\nbtime 1764000000\n")
    machine.write("/proc/net/dev", "Inter-|\n face |\n  eth0: 6000 10 0 0 0 0 0 0 12000 20 11 0 0 0 0 0\n")
    machine.write("/proc/diskstats", " 254 0 vda 200 0 4000 100 400 0 8000 250 0 5200 200\n")
    machine.write("/proc/pressure/cpu", "some avg10=0.00 total=2000000\n")
    machine.write("/proc/vmstat", "pswpin 110\npswpout 200\noom_kill 2\n")
    found, _ = collect(one, AT + 10 * SECOND)
    wanted = {
        "cpu_percent": 40.0,
        "cpu_mode_percent{user}": 30.0,
        "cpu_mode_percent{iowait}": 10.0,
        "network_receive_bytes_per_second{eth0}": 500.0,
        "network_transmit_bytes_per_second{eth0}": 1000.0,
        "network_errors_per_second{eth0}": 1.0,
        "disk_read_bytes_per_second{vda}": 102400.0,
        "disk_write_bytes_per_second{vda}": 204800.0,
        "disk_busy_percent{vda}": 50.0,
        "disk_wait_ms{vda}": 0.75,
        "pressure_percent{some,cpu}": 10.0,
        "swap_in_pages_per_second": 1.0,
        "oom_kills_count": 2,
    }
    assert {name: found.get(name) for name in wanted} == wanted


def test_a_counter_that_begins_anew_gives_nothing_once(one: Any, machine: Files) -> None:
    collect(one)
    machine.write("/proc/net/dev", "Inter-|\n face |\n  eth0: 10 10 0 0 0 0 0 0 20 20 0 0 0 0 0 0\n")
    assert "network_receive_bytes_per_second{eth0}" not in collect(one, AT + 10 * SECOND)[0]
    machine.write("/proc/net/dev", "Inter-|\n face |\n  eth0: 110 10 0 0 0 0 0 0 20 20 0 0 0 0 0 0\n")
    assert collect(one, AT + 20 * SECOND)[0]["network_receive_bytes_per_second{eth0}"] == 10.0


def test_a_clock_that_is_set_back_gives_no_rates_and_no_fault(one: Any) -> None:
    collect(one)
    found, _ = collect(one, AT - DAY)
    assert "cpu_percent" not in found
    assert found["load_1m"] == 0.52


@pytest.mark.claim("origin:M9")
def test_a_file_system_that_becomes_read_only_is_told_until_it_can_be_written_again(one: Any, machine: Files) -> None:
    mounts = FILES["/proc/self/mounts"]
    collect(one)
    machine.write("/proc/self/mounts", mounts.replace("rw,relatime", "ro,relatime"))
    told = [collect(one, AT + n * 10 * SECOND)[1] for n in (1, 2)]
    assert [(e["type"], e["status"], e["subject"], e["severity"]) for e in told[0]] == [("host.disk_read_only", "problem", "disk:/", 4)]
    assert told[1] == []
    machine.write("/proc/self/mounts", mounts)
    assert [(e["type"], e["status"]) for e in collect(one, AT + 30 * SECOND)[1]] == [("host.disk_read_only", "recovery")]


def test_one_that_was_read_only_from_the_start_is_meant_to_be(one: Any, machine: Files) -> None:
    machine.write("/proc/self/mounts", "/dev/sr1 /cd ext4 ro 0 0\n/dev/vda1 / ext4 rw 0 0\n")
    machine.write("/cd/x", "")
    assert [collect(one, AT + n * 10 * SECOND)[1] for n in range(3)] == [[], [], []]


def test_what_systemd_shows_the_agent_alone_is_not_believed(one: Any, machine: Files) -> None:
    machine.write("/proc/1/mounts", FILES["/proc/self/mounts"])
    machine.write("/proc/self/mounts", FILES["/proc/self/mounts"].replace("rw,relatime", "ro,relatime"))
    assert collect(one)[0]["disk_read_only_flag{/}"] == 0


def test_a_raid_that_lacks_a_disk_is_told(one: Any, machine: Files) -> None:
    machine.write(
        "/proc/mdstat",
        "md0 : active raid1 sdb1[1](F) sda1[0]\n      100 blocks super 1.2 [2/1] [U_]\n\nmd1 : inactive sdc1[0]\n      5 blocks\n",
    )
    found, events = collect(one)
    assert found["raid_missing_disks{md0}"] == 1
    assert sorted(e["title"] for e in events) == ["RAID md0 lacks 1 of 2 disks", "RAID md1 is not active"]


@pytest.mark.claim("K2", "M11")
def test_services_count_once_they_have_run_and_failed_ones_are_told(one: Any, machine: Files) -> None:
    machine.systemctl(
        "nginx.service loaded active running A high performance web server",
        "mariadb.service loaded inactive dead MariaDB",
        "backup.service loaded failed failed Nightly backup",
        "gone.service not-found inactive dead gone.service",
    )
    found, events = collect(one)
    assert {name: value for name, value in found.items() if "service" in name or "units" in name} == {
        "service_up{nginx}": 1,
        "units_failed_count": 1,
    }
    assert [(e["type"], e["title"], e["message"]) for e in events] == [
        ("host.unit_down", "The service backup has failed", "Nightly backup")
    ]
    machine.systemctl(
        "nginx.service loaded inactive dead A high performance web server", "backup.service loaded active exited Nightly backup"
    )
    found, events = collect(one, AT + MINUTE)
    assert found["service_up{nginx}"] == 0
    assert sorted((e["type"], e["status"]) for e in events) == [("host.service_down", "problem"), ("host.unit_down", "recovery")]


def test_what_is_slow_to_learn_is_asked_once_a_minute_and_stands_in_between(one: Any, machine: Files) -> None:
    machine.systemctl("backup.service loaded failed failed Nightly backup")
    collect(one)
    found, events = collect(one, AT + 10 * SECOND)
    assert "processes_count" not in found
    assert events == []
    assert "processes_count" in collect(one, AT + MINUTE)[0]


def test_the_mail_queue_is_counted_by_files(one: Any, machine: Files) -> None:
    for name in ("active/1A2B", "deferred/3/3C4D", "deferred/5/5E6F"):
        machine.write(f"/var/spool/postfix/{name}", "")
    for name in ("a/1abc-000-H", "a/1abc-000-D", "1xyz-000-H"):
        machine.write(f"/var/spool/exim/input/{name}", "")
    found, _ = collect(one)
    assert found["mail_queue_messages{postfix}"] == 3
    assert found["mail_queue_messages{exim}"] == 2


@pytest.mark.claim("K2", "M11")
def test_a_port_that_closes_is_seen_as_closed_for_a_day(one: Any, machine: Files) -> None:
    collect(one)
    machine.write("/proc/net/tcp6", "  sl local rem st\n")
    assert collect(one, AT + 10 * SECOND)[0]["port_listening_flag{443}"] == 0
    assert collect(one, AT + DAY - SECOND)[0]["port_listening_flag{443}"] == 0
    assert "port_listening_flag{443}" not in collect(one, AT + DAY + SECOND)[0]


@pytest.mark.claim("M10")
def test_very_many_connections_are_counted_and_not_told_apart(one: Any, machine: Files) -> None:
    machine.write("/proc/net/sockstat", "TCP: inuse 60000 orphan 0 tw 5000 alloc 5 mem 1\n")
    found, _ = collect(one)
    assert found["network_connections"] == 65000
    assert not any(name.startswith(("network_state", "port_")) for name in found)


def test_the_largest_processes_are_named_once_when_it_gets_scarce(one: Any, machine: Files) -> None:
    machine.write("/proc/meminfo", "MemTotal: 1000000 kB\nMemAvailable: 50000 kB\n")
    assert collect(one)[1] == []
    machine.write("/proc/77/stat", "77 (mysqld) R 1 77 77 0 -1 0 0 0 0 0 999 1 0 0 20 0 1 0 1 1000 9000")
    (event,) = collect(one, AT + 10 * SECOND)[1]
    assert (event["type"], event["status"]) == ("host.top_processes", "info")
    assert event["attributes"]["by_cpu_ticks"][0] == ["mysqld", 900]
    assert event["attributes"]["by_memory_bytes"][0] == ["mysqld", 9000 * os.sysconf("SC_PAGE_SIZE")]
    assert collect(one, AT + 20 * SECOND)[1] == []


def test_cpanel_says_how_its_services_are(one: Any, machine: Files) -> None:
    service = {"installed": 1, "enabled": 1, "monitored": 1}
    answer = {
        "data": {"service": [{"name": "httpd", "running": 1, **service}, {"name": "exim", "running": 0, **service}, {"name": "ftpd"}, 5]}
    }
    machine.write("/usr/local/cpanel/version", "11.118\n")
    machine.write("/run-output/_usr_local_cpanel_bin_whmapi1_--output=json_servicestatus", agent.json.dumps(answer))
    found, events = collect(one)
    assert panel_services(found) == {
        "panel_service_up{cpanel,httpd}": 1,
        "panel_service_up{cpanel,exim}": 0,
    }
    assert [e["title"] for e in events] == ["cpanel says that exim does not run"]


def panel_services(found: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in found.items() if name.startswith("panel")}


def test_plesk_says_how_its_services_are(one: Any, machine: Files) -> None:
    machine.write("/usr/local/psa/version", "18.0.66 Debian 12\n")
    answer = r"/run-output/plesk_bin_service_--list_-format_\n%s\t%k"
    machine.write(answer, "\n1\tweb\n1\tdns\n0\tpostgresql\n-1\tdrweb\nWARNING: odd\n")
    assert panel_services(collect(one)[0]) == {"panel_service_up{plesk,web}": 1, "panel_service_up{plesk,dns}": 1}
    machine.write(answer, "\n0\tweb\n1\tdns\n0\tpostgresql\n-1\tdrweb\n")
    found, events = collect(one, AT + 5 * MINUTE)
    assert panel_services(found) == {"panel_service_up{plesk,web}": 0, "panel_service_up{plesk,dns}": 1}
    assert [e["title"] for e in events] == ["plesk says that web does not run"]


def test_what_directadmin_keeps_running_is_looked_at(one: Any, machine: Files) -> None:
    machine.write("/usr/local/directadmin/data/admin/services.status", "exim=ON\nnamed=OFF\nhttpd=ON\nda-popb4smtp=ON\n-x=ON\n")
    machine.write("/run-output/systemctl_is-active_exim_httpd_da-popb4smtp", "active\nactive\ninactive\n")
    assert panel_services(collect(one)[0]) == {"panel_service_up{directadmin,exim}": 1, "panel_service_up{directadmin,httpd}": 1}
    machine.write("/run-output/systemctl_is-active_exim_httpd_da-popb4smtp", "failed\nactive\ninactive\n")
    found, events = collect(one, AT + 5 * MINUTE)
    assert panel_services(found) == {"panel_service_up{directadmin,exim}": 0, "panel_service_up{directadmin,httpd}": 1}
    assert [e["title"] for e in events] == ["directadmin says that exim does not run"]


def test_an_answer_of_systemd_that_fits_no_list_says_nothing_of_directadmins_services(one: Any, machine: Files) -> None:
    machine.write("/usr/local/directadmin/data/admin/services.status", "exim=ON\nhttpd=ON\n")
    machine.write("/run-output/systemctl_is-active_exim_httpd", "active\n")
    assert panel_services(collect(one)[0]) == {}


@pytest.mark.parametrize("text", ["", "<html>", "[]", '{"data": 5}', '{"data": {"service": {}}}'])
def test_what_is_no_answer_of_cpanel_says_nothing(text: str) -> None:
    assert agent.cpanel_services(text) == []


def test_metrics_of_ones_own_come_from_files(one: Any, machine: Files) -> None:
    file = machine.write(
        "/metrics/queue.prom", '# HELP x y\nqueue_length_count{queue="a b",x="1\\"2"} 7\nbad line\nqueue_age_seconds NaN\nNope 1\n'
    )
    machine.write("/metrics/.hidden.prom", "hidden_count 1\n")
    machine.write("/metrics/other.txt", "other_count 1\n")
    os.utime(file, (AT / 1000, AT / 1000))
    found, _ = collect(one, AT + MINUTE)
    assert found['queue_length_count{a b,1"2}'] == 7
    assert found["custom_file_age_seconds{queue.prom}"] == 60
    assert not any(name.startswith(("hidden", "other", "queue_age")) for name in found)
    assert not any(name.startswith("queue_length") for name in collect(one, AT + 2 * DAY)[0])


def test_every_name_is_one_that_the_server_takes(one: Any, machine: Files) -> None:
    machine.systemctl("nginx.service loaded active running x")
    collect(one)
    samples, _ = one.collect(AT + 70 * SECOND)
    for name, labels, _ in samples:
        assert metric_rules.check_series(name, "web-1", tuple(sorted(labels.items()))) == (), name


@pytest.mark.claim("A18")
@pytest.mark.parametrize("path", sorted(FILES))
def test_a_file_that_is_not_there_or_holds_nonsense_costs_the_others_nothing(one: Any, machine: Files, path: str) -> None:
    collect(one)
    machine.without(path)
    assert len(collect(one, AT + MINUTE)[0]) > 15
    machine.write(path, "cpu a b c\nMemTotal: x\nmd0 : active\n  eth0: 1\n 1 2 vda x\n\x00(")
    assert len(collect(one, AT + 2 * MINUTE)[0]) > 10


def test_a_reboot_is_told_once(machine: Files, tmp_path: Path, link: FakeLink) -> None:
    with closing(an_agent(machine, tmp_path, link)) as first:
        assert collect(first)[1] == []
        first.save()
    machine.write("/proc/stat", FILES["/proc/stat"].replace("btime 1764000000", "btime 1764020000"))
    with closing(an_agent(machine, tmp_path, link)) as second:
        assert [e["type"] for e in collect(second, AT + MINUTE)[1]] == ["host.rebooted"]
        assert collect(second, AT + 2 * MINUTE)[1] == []


def test_what_is_told_is_remembered_over_a_restart(machine: Files, tmp_path: Path, link: FakeLink) -> None:
    machine.systemctl("backup.service loaded failed failed Nightly backup")
    with closing(an_agent(machine, tmp_path, link)) as first:
        assert len(collect(first)[1]) == 1
        first.save_now_and_then()
    with closing(an_agent(machine, tmp_path, link)) as second:
        assert collect(second, AT + MINUTE)[1] == []
        machine.systemctl("backup.service loaded active exited Nightly backup")
        assert [e["status"] for e in collect(second, AT + 2 * MINUTE)[1]] == ["recovery"]


@given(st.integers(0, 2**31))
def test_dates_of_http_are_read_exactly(seconds: int) -> None:
    text = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(seconds))
    assert agent.parse_date(text) == seconds * 1000
    assert agent.parse_stamp(agent.stamp(seconds * 1000)) == seconds * 1000


@given(st.text(max_size=80))
def test_a_line_of_ones_own_is_a_metric_or_nothing(text: str) -> None:
    found = agent.parse_metric(text)
    assert found is None or (metric_rules.is_name(found[0]) and isinstance(found[2], float))
