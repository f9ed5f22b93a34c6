"""TLS and credentials against a server with security switched on: a cluster of this test's own."""

import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from scripts.elasticsearch.server import Options, running_cluster
from secmon.errors import ConfigError, StoreUnavailableError
from secmon.model.questions import EventQuery
from secmon.store.elasticsearch.eventlog import ElasticsearchEventLog
from secmon.store.elasticsearch.gateway import ElasticsearchSettings
from secmon.store.elasticsearch.mapping import IndexSettings
from tests.contracts.builders import ROOT_ACCESS, batch_of, event_at

# A second server beside the one of SECMON_ES_URL: only where it is asked for.
pytestmark = [
    pytest.mark.elasticsearch,
    pytest.mark.slow,
    pytest.mark.skipif(not os.environ.get("SECMON_ES_SECURITY"), reason="SECMON_ES_SECURITY is not set"),
]


def _certificate() -> tuple[bytes, bytes]:
    """Return a self-signed certificate for the loopback and its key, both PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "secmon test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return made.public_bytes(pem), private


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ElasticsearchSettings]:
    certificate, key = _certificate()
    ca = tmp_path_factory.mktemp("ca") / "ca.pem"
    ca.write_bytes(certificate)
    tls = "xpack.security.http.ssl"
    lines = {f"{tls}.enabled": "true", f"{tls}.certificate": "node.pem", f"{tls}.key": "node.key"}
    options = Options(port=9383, security=True, settings=lines, files={"node.pem": certificate, "node.key": key}, ca=ca)
    with running_cluster(options) as cluster:
        yield ElasticsearchSettings(
            urls=cluster.urls,
            ca=ca,
            user="elastic",
            password=cluster.password,
            indices=IndexSettings(replicas=0),
        )


def first_commit(settings: ElasticsearchSettings) -> int:
    """Commit an event and return how many are there."""
    log = ElasticsearchEventLog(settings, writable=True)
    try:
        log.commit(ROOT_ACCESS, batch_of([event_at(1)]))
        return log.count(ROOT_ACCESS, EventQuery())[""]
    finally:
        log.close()


def test_with_the_right_certificate_and_password_everything_works(settings: ElasticsearchSettings) -> None:
    assert first_commit(settings) == 1


def test_a_wrong_password_is_one_clear_sentence(settings: ElasticsearchSettings) -> None:
    with pytest.raises(StoreUnavailableError, match="does not accept the credentials") as told:
        first_commit(replace(settings, password="wrong"))
    assert "wrong" not in str(told.value)


def test_a_wrong_key_is_one_clear_sentence(settings: ElasticsearchSettings) -> None:
    with pytest.raises(StoreUnavailableError, match="does not accept the credentials"):
        first_commit(replace(settings, user="", api_key="d3Jvbmc6d3Jvbmc="))


def test_a_server_of_another_authority_is_not_spoken_to(settings: ElasticsearchSettings, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    other.write_bytes(_certificate()[0])
    with pytest.raises(StoreUnavailableError, match="certificate"):
        first_commit(replace(settings, ca=other))


def test_without_a_pinned_authority_an_unknown_certificate_is_refused(settings: ElasticsearchSettings) -> None:
    with pytest.raises(StoreUnavailableError, match="certificate"):
        first_commit(replace(settings, ca=None))


def test_plain_http_to_a_tls_port_is_one_clear_sentence(settings: ElasticsearchSettings) -> None:
    plain = tuple(url.replace("https://", "http://") for url in settings.urls)
    with pytest.raises(StoreUnavailableError):
        first_commit(replace(settings, urls=plain, ca=None))


def test_a_certificate_file_that_is_not_there_is_a_setting_that_is_wrong(settings: ElasticsearchSettings) -> None:
    with pytest.raises(ConfigError):
        first_commit(replace(settings, ca=Path("/nonexistent/ca.pem")))
