"""What is spoken to and what is not: addresses, authorities, credentials. Servers here only answer as scripted."""

import base64
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from elastic_transport import TlsError
from hypothesis import given
from hypothesis import strategies as st

from secmon.errors import ConfigError, StoreUnavailableError
from secmon.store.elasticsearch.connection import ElasticsearchSettings, client_of, without_secrets
from secmon.store.elasticsearch.failures import store_errors
from secmon.store.elasticsearch.gateway import Gateway
from tests.store.elasticsearch.certificates import Authority, new_authority
from tests.store.elasticsearch.scripted import PRODUCT

KEY = "d3Jvbmc6d3Jvbmc="


@pytest.fixture(scope="module")
def ours() -> Authority:
    return new_authority()


@pytest.fixture
def ca(ours: Authority, tmp_path: Path) -> Path:
    path = tmp_path / "ca.pem"
    path.write_bytes(ours.pem)
    return path


class _Health(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        for name, value in {"Content-Type": "application/json", "Content-Length": "2", **PRODUCT}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """A client that hangs up is what these tests are about."""


@contextmanager
def tls_server(folder: Path, pair: tuple[bytes, bytes]) -> Iterator[str]:
    """Run a server with this certificate and key for the time of a block; yield its address."""
    (folder / "node.pem").write_bytes(pair[0])
    (folder / "node.key").write_bytes(pair[1])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "node.pem", folder / "node.key")
    server = _Server(("127.0.0.1", 0), _Health)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    with _running(server) as port:
        yield f"https://127.0.0.1:{port}"


@contextmanager
def plain_server() -> Iterator[str]:
    """Run a server without TLS for the time of a block; yield its address."""
    with _running(_Server(("127.0.0.1", 0), _Health)) as port:
        yield f"http://127.0.0.1:{port}"


@contextmanager
def _running(server: ThreadingHTTPServer) -> Iterator[int]:
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def ask(settings: ElasticsearchSettings) -> int:
    """Ask a server something and return the status of its answer."""
    gateway = Gateway(settings)
    try:
        return gateway.read("GET", "/_cluster/health").status
    finally:
        gateway.close()


def test_a_server_of_the_pinned_authority_is_spoken_to(ours: Authority, ca: Path, tmp_path: Path) -> None:
    with tls_server(tmp_path, ours.sign()) as url:
        assert ask(ElasticsearchSettings(urls=(url,), ca=ca)) == 200


def test_a_server_of_another_authority_is_named_as_that(ca: Path, tmp_path: Path) -> None:
    with (
        tls_server(tmp_path, new_authority().sign()) as url,
        pytest.raises(StoreUnavailableError, match="signed by an authority that is not trusted"),
    ):
        ask(ElasticsearchSettings(urls=(url,), ca=ca))


def test_an_expired_certificate_is_named_as_that(ours: Authority, ca: Path, tmp_path: Path) -> None:
    with (
        tls_server(tmp_path, ours.sign(days=-1)) as url,
        pytest.raises(StoreUnavailableError, match="has expired or is not valid yet"),
    ):
        ask(ElasticsearchSettings(urls=(url,), ca=ca))


@pytest.mark.parametrize("pinned", [True, False], ids=["pinned", "system"])
def test_a_certificate_for_another_address_is_refused(
    ours: Authority, ca: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, pinned: bool
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(ca))  # stands for what the system trusts (OpenSSL)
    with (
        tls_server(tmp_path, ours.sign(address="127.0.0.2")) as url,
        pytest.raises(StoreUnavailableError, match="made for another name"),
    ):
        ask(ElasticsearchSettings(urls=(url,), ca=ca if pinned else None))


def test_without_a_pin_the_authorities_of_the_system_are_trusted(
    ours: Authority, ca: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tls_server(tmp_path, ours.sign()) as url:
        with pytest.raises(StoreUnavailableError, match="not trusted"):
            ask(ElasticsearchSettings(urls=(url,)))
        monkeypatch.setenv("SSL_CERT_FILE", str(ca))
        assert ask(ElasticsearchSettings(urls=(url,))) == 200


def test_an_authority_that_the_system_or_a_library_trusts_cannot_sign_for_a_pinned_cluster(
    ca: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    public = new_authority()
    store = tmp_path / "public.pem"
    store.write_bytes(public.pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(store))
    monkeypatch.setattr("elastic_transport._node._http_urllib3.DEFAULT_CA_CERTS", str(store))
    with (
        tls_server(tmp_path, public.sign()) as url,
        pytest.raises(StoreUnavailableError, match="signed by an authority that is not trusted"),
    ):
        ask(ElasticsearchSettings(urls=(url,), ca=ca))


def test_a_server_without_tls_is_named_as_that(ca: Path) -> None:
    with plain_server() as url, pytest.raises(StoreUnavailableError, match="does not speak TLS"):
        ask(ElasticsearchSettings(urls=(url.replace("http:", "https:"),), ca=ca))


def test_a_tls_failure_that_names_no_certificate_is_no_traceback() -> None:
    with pytest.raises(StoreUnavailableError, match="does not speak TLS"), store_errors("https://127.0.0.1:1"):
        raise TlsError("unexpected eof")


def test_certificates_and_names_are_checked_whatever_is_set(ca: Path) -> None:
    for pinned in (ca, None):
        client = client_of(ElasticsearchSettings(urls=("https://127.0.0.1:1",), ca=pinned))
        nodes = client.transport.node_pool.all()
        contexts = [node.config.ssl_context for node in nodes]
        assert [(one.verify_mode, one.check_hostname) for one in contexts if one] == [(ssl.CERT_REQUIRED, True)]
        assert all(node.config.verify_certs for node in nodes)
        client.close()
    names = {name for name in ElasticsearchSettings.__dataclass_fields__ if "verif" in name or "insecure" in name}
    assert names == set()


@pytest.mark.parametrize("host", ["192.0.2.1", "es.example.edu.cn", "[2001:db8::1]", "127.0.0.1.example.edu.cn"])
@pytest.mark.parametrize("secret", [{"api_key": KEY}, {"user": "secmon", "password": "p"}], ids=["key", "user"])
def test_credentials_never_travel_over_plain_http_to_another_machine(host: str, secret: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="plain http") as told:
        client_of(ElasticsearchSettings(urls=("http://127.0.0.1:9200", f"http://{host}:9200"), **secret))
    assert host not in str(told.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.0.1", "localhost", "[::1]"])
def test_on_the_loopback_plain_http_is_allowed(host: str) -> None:
    client_of(ElasticsearchSettings(urls=(f"http://{host}:9200",), api_key=KEY)).close()


@pytest.mark.parametrize(
    ("urls", "problem"),
    [
        ((), "no address"),
        (("127.0.0.1:9200",), "no address of a cluster"),
        (("ftp://127.0.0.1",), "no address of a cluster"),
        (("https://",), "no address of a cluster"),
        (("https://[::1",), "no address of a cluster"),
        (("https://es:x",), "no address of a cluster"),
        (("https://a:1", "http://127.0.0.1:1"), "some addresses are https and some http"),
        (("https://mori:s3cret@es:9200",), "credentials stand in the address"),
    ],
)
def test_addresses_that_cannot_be_right_are_refused_at_the_start(urls: tuple[str, ...], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem) as told:
        client_of(ElasticsearchSettings(urls=urls))
    assert "s3cret" not in str(told.value)


@pytest.mark.parametrize("key", ["a b", "a\nb", "密钥"])
def test_a_key_that_cannot_be_one_is_refused_without_being_quoted(key: str) -> None:
    with pytest.raises(ConfigError, match="no API key") as told:
        client_of(ElasticsearchSettings(urls=("https://127.0.0.1:1",), api_key=key))
    assert key not in str(told.value)


@pytest.mark.parametrize(
    ("secret", "header"),
    [
        ({"api_key": KEY}, f"ApiKey {KEY}"),
        ({"user": "secmon", "password": "密码"}, "Basic " + base64.b64encode("secmon:密码".encode()).decode()),
    ],
)
def test_credentials_go_with_every_request(
    monkeypatch: pytest.MonkeyPatch, secret: dict[str, Any], header: str
) -> None:
    sent: list[str] = []
    answer = _Health.do_GET

    def do_get(self: _Health) -> None:
        sent.append(self.headers["Authorization"])
        answer(self)

    monkeypatch.setattr(_Health, "do_GET", do_get)
    with plain_server() as url:
        ask(ElasticsearchSettings(urls=(url,), **secret))
    assert sent == [header]


def test_a_key_and_a_user_at_once_are_refused() -> None:
    with pytest.raises(ConfigError, match="an API key and a user"):
        client_of(ElasticsearchSettings(urls=("https://127.0.0.1:1",), api_key=KEY, user="secmon"))


@pytest.mark.parametrize("content", [None, b"", b"no certificate"], ids=["missing", "empty", "text"])
def test_a_certificate_file_that_is_none_is_a_setting_that_is_wrong(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match="certificate"):
        client_of(ElasticsearchSettings(urls=("https://127.0.0.1:1",), ca=path))


def test_settings_do_not_show_their_secrets() -> None:
    settings = ElasticsearchSettings(urls=("https://127.0.0.1:1",), api_key=KEY)
    assert KEY not in repr(settings)
    assert "s3cret" not in repr(replace(settings, api_key="", user="secmon", password="s3cret"))


@given(url=st.text() | st.text().map("https://{}".format) | st.text().map("http://a:b@{}".format))
def test_any_address_is_taken_or_refused_by_our_own_error(url: str) -> None:
    without_secrets(url)
    with suppress(ConfigError):
        client_of(ElasticsearchSettings(urls=(url,))).close()
