"""The agent's own HTTP, against a server that says what it is told to, well or badly."""

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from agent import tocsin_agent as agent
from tests.standins.tls import Authority

pytestmark = pytest.mark.claim("M1")
OK = b"HTTP/1.1 202 Accepted\r\nDate: Tue, 25 Nov 2025 00:00:00 GMT\r\nContent-Length: 2\r\n\r\n{}"


@contextmanager
def saying(*connections: list[bytes], authority: Authority | None = None) -> Iterator[tuple[int, list[bytes]]]:
    """A server: for each connection, what it says to each request; then it closes. What came is kept."""
    came: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        for answers in connections:
            connection, _ = listener.accept()
            if authority is not None:
                connection = authority.server_context("127.0.0.1").wrap_socket(connection, server_side=True)
            with connection:
                for answer in answers:
                    came.append(connection.recv(65536))
                    connection.sendall(answer)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1], came
    finally:
        listener.close()
        thread.join(5)


def test_a_request_shows_the_key_and_says_what_it_carries() -> None:
    with saying([OK]) as (port, came):
        link = agent.Link(f"http://127.0.0.1:{port}/monitor/", "tocsin_k")
        answer = link.ask("POST", "/api/v1/metrics", b"body", {"X-Tocsin-Agent": "{}"})
        link.close()
    assert (answer.status, answer.body) == (202, b"{}")
    head, _, body = came[0].partition(b"\r\n\r\n")
    assert body == b"body"
    assert head.split(b"\r\n")[0] == b"POST /monitor/api/v1/metrics HTTP/1.1"
    assert {b"Host: 127.0.0.1:%d" % port, b"Authorization: Bearer tocsin_k", b"Content-Encoding: gzip", b"X-Tocsin-Agent: {}"} <= {
        *head.split(b"\r\n")
    }
    assert link.drift is not None
    assert link.drift > 0


@pytest.mark.parametrize(
    ("said", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n", b"abcde"),
        (b"HTTP/1.0 200 OK\r\n\r\nto the end", b"to the end"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (b"HTTP/1.1 200 OK\nContent-Length: 1\n\nx", b"x"),
    ],
)
def test_answers_end_as_http_has_them_end(said: bytes, body: bytes) -> None:
    with saying([said]) as (port, _):
        link = agent.Link(f"http://127.0.0.1:{port}", "k")
        assert link.ask("GET", "/").body == body
        link.close()


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 202 Accepted\r\nContent-Length: 5\r\n\r\nab",
        b"HTTP/1.1 202 Accepted\r\nContent-Length: 99999999999\r\n\r\n",
        b"HTTP/1.1 202 Accepted\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 202 Accepted\r\n" + b"x" * 20_000,
        b"HTTP/1.1 202 Accepted\r\n" + b"".join(b"A%d: b\r\n" % n for n in range(200)) + b"\r\n",
        b"HTTP/1.1 202 Accepted\r\nDate:",
    ],
)
def test_what_is_no_whole_answer_is_a_failure(said: bytes) -> None:
    with saying([said], [said]) as (port, _):
        link = agent.Link(f"http://127.0.0.1:{port}", "k")
        with pytest.raises((OSError, ValueError)):
            link.ask("GET", "/")
        link.close()
        with pytest.raises((OSError, ValueError)):
            link.ask("GET", "/")


def test_a_connection_is_kept_and_made_anew_when_the_server_has_closed_it() -> None:
    with saying([OK, OK], [OK]) as (port, came):
        link = agent.Link(f"http://127.0.0.1:{port}", "k")
        assert [link.ask("GET", "/").status for _ in range(3)] == [202, 202, 202]
        link.close()
    assert len(came) == 3


def test_who_answers_drop_by_drop_does_not_hold_it_up() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    ended = threading.Event()

    def drip() -> None:
        connection, _ = listener.accept()
        with connection:
            while not ended.wait(0.05):
                try:
                    connection.sendall(b"H")
                except OSError:
                    return

    thread = threading.Thread(target=drip, daemon=True)
    thread.start()
    link = agent.Link(f"http://127.0.0.1:{listener.getsockname()[1]}", "k", timeout=0.2)
    before = time.monotonic()
    with pytest.raises(OSError, match="takes too long"):
        link.ask("GET", "/")
    assert time.monotonic() - before < 5
    ended.set()
    thread.join(5)
    listener.close()


def test_a_certificate_must_be_one_that_is_trusted(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with saying([OK], authority=authority) as (port, _):
        link = agent.Link(f"https://127.0.0.1:{port}", "k", str(authority.ca_file))
        assert link.ask("GET", "/").status == 202
        link.close()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                try:
                    authority.server_context("127.0.0.1").wrap_socket(connection, server_side=True).close()
                except OSError:
                    return

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        with pytest.raises(OSError, match="certificate verify failed"):
            agent.Link(f"https://127.0.0.1:{listener.getsockname()[1]}", "k").ask("GET", "/")
        thread.join(5)


def test_of_the_systems_authorities_the_one_that_is_needed_is_read_and_all_if_it_is_not_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path)
    (tmp_path / "0123abcd.0").write_text("")
    places = SimpleNamespace(openssl_cafile_env="NOT_SET_HERE", capath=str(tmp_path))
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: places)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.ca_file))  # what OpenSSL takes for the bundle
    assert agent.trust(ssl, None).get_ca_certs() == []
    refused = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for _ in range(2):
                connection, _ = listener.accept()
                with connection:
                    try:
                        with authority.server_context("127.0.0.1").wrap_socket(connection, server_side=True) as secure:
                            secure.recv(65536)
                            secure.sendall(OK)
                    except OSError:
                        refused.set()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        link = agent.Link(f"https://127.0.0.1:{listener.getsockname()[1]}", "k")
        with pytest.raises(OSError, match="certificate verify failed"):
            link.ask("GET", "/")
        assert refused.wait(5)
        assert link.ask("GET", "/").status == 202
        link.close()
        thread.join(5)


def test_a_folder_without_hashes_or_a_bundle_that_is_named_is_no_place_to_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = Authority(tmp_path)
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: SimpleNamespace(openssl_cafile_env="SSL_CERT_FILE", capath=str(tmp_path)))
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.ca_file))
    assert len(agent.trust(ssl, None).get_ca_certs()) == 1
    context = agent.trust(ssl, str(authority.ca_file))
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
