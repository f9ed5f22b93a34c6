"""Who is spoken to, and how: addresses, the pinned authority, credentials. Certificates are always checked."""

import base64
import ssl
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from elasticsearch import Elasticsearch
from elasticsearch.serializer import OrjsonSerializer

from secmon.errors import ConfigError
from secmon.store.elasticsearch.mapping import IndexSettings

CONNECTIONS: Final = 10
_WHERE: Final = "store.elasticsearch.urls"


@dataclass(frozen=True, slots=True, kw_only=True)
class ElasticsearchSettings:
    """Where the cluster is, and how to speak to it.

    Args:
        urls: its nodes, such as "https://127.0.0.1:9200".
        prefix: first part of the names of all indices.
        ca: file of the certificate authority that signed the nodes' certificates; no other is trusted then.
            Without it those that the system trusts are.
        api_key: credentials, encoded as Elasticsearch prints them; or
        user, password: a user and their password.
        timeout_s: how long one request may take.
        indices: how the indices of partitions are made.
    """

    urls: tuple[str, ...]
    prefix: str = "secmon"
    ca: Path | None = None
    api_key: str = field(default="", repr=False)
    user: str = ""
    password: str = field(default="", repr=False)
    timeout_s: float = 30.0
    indices: IndexSettings = field(default_factory=IndexSettings)

    @property
    def has_credentials(self) -> bool:
        """Whether anything secret goes with each request."""
        return bool(self.api_key or self.user or self.password)


class PinnedContext(ssl.SSLContext):
    """TLS that trusts one file of authorities, whatever a library adds.

    elastic-transport hands certifi's public authorities to urllib3 along with any context that it is given, and urllib3
    loads them into it: each of them could then sign for the cluster.
    """

    def pin(self, ca: Path) -> None:
        """Trust the authorities of this file.

        Raises:
            OSError: there is no such file, or no certificate in it.
        """
        super().load_verify_locations(cafile=ca)

    def load_verify_locations(self, *_args: Any, **_kwargs: Any) -> None:
        """Trust nobody else."""

    def load_default_certs(self, purpose: ssl.Purpose = ssl.Purpose.SERVER_AUTH) -> None:
        """Trust nobody else."""


def client_of(settings: ElasticsearchSettings) -> Elasticsearch:
    """Return the client of a cluster; nothing is sent yet.

    Raises:
        ConfigError: an address, the authority or the credentials cannot be right, or would travel in the clear.
    """
    _check(settings)
    chosen: dict[str, Any] = {}
    if settings.api_key:
        chosen["api_key"] = settings.api_key
    elif settings.user:
        # Made here: the client refuses passwords that are not Latin; Elasticsearch reads UTF-8 (RFC 7617, section 2.1).
        pair = base64.b64encode(f"{settings.user}:{settings.password}".encode()).decode()
        chosen["headers"] = {"authorization": f"Basic {pair}"}
    json = OrjsonSerializer()
    try:
        if any(_split(url).scheme == "https" for url in settings.urls):
            chosen["ssl_context"] = _context(settings.ca)
        return Elasticsearch(
            list(settings.urls),
            request_timeout=settings.timeout_s,
            max_retries=0,
            retry_on_timeout=False,
            connections_per_node=CONNECTIONS,
            serializers={"application/json": json, "application/vnd.elasticsearch+json": json},
            **chosen,
        )
    except (ValueError, TypeError, OSError) as error:
        raise ConfigError(
            "the cluster's address or certificate cannot be used", where="store.elasticsearch", hint="check urls and ca"
        ) from error


def without_secrets(url: str) -> str:
    """Return an address without the credentials that may stand in it."""
    try:
        parts = urlsplit(url)
        return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    except ValueError:
        return "store.elasticsearch.urls"


def _context(ca: Path | None) -> ssl.SSLContext:
    """Return what checks certificates; the file is read now, so that a wrong one is told at the start."""
    if ca is None:
        return ssl.create_default_context()
    context = PinnedContext(ssl.PROTOCOL_TLS_CLIENT)  # asks for a certificate, and for the right name in it
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.pin(ca)
    return context


def _check(settings: ElasticsearchSettings) -> None:
    if not settings.urls:
        raise ConfigError(
            "no address of a cluster is set", where=_WHERE, hint="such as https://es1.example.edu.cn:9200"
        )
    if settings.api_key and (settings.user or settings.password):
        hint = "set api_key_file, or user and password_file"
        raise ConfigError("there are an API key and a user", where="store.elasticsearch", hint=hint)
    if any(not text.isascii() or not text.isprintable() or " " in text for text in (settings.api_key,)):
        hint = "the file holds one line, as Elasticsearch printed it (encoded)"
        raise ConfigError("this is no API key", where="store.elasticsearch.api_key_file", hint=hint)
    schemes = {_checked(_split(url), secret=settings.has_credentials).scheme for url in settings.urls}
    if len(schemes) > 1:
        raise ConfigError("some addresses are https and some http", where=_WHERE, hint="use https for all")


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, a bracket that does not close
        usable = False
    if not usable:
        hint = "such as https://es1.example.edu.cn:9200"
        raise ConfigError("this is no address of a cluster", where=_WHERE, hint=hint)
    return parts


def _checked(parts: SplitResult, *, secret: bool) -> SplitResult:
    """Return an address that may be used.

    Raises:
        ConfigError: credentials stand in it, or would be sent to another machine for everybody to read.
    """
    if "@" in parts.netloc:
        hint = "set api_key_file, or user and password_file"
        raise ConfigError("credentials stand in the address", where=_WHERE, hint=hint)
    if secret and parts.scheme == "http" and not _is_loopback(parts.hostname or ""):
        hint = "use https and set store.elasticsearch.ca"
        raise ConfigError("credentials would travel over plain http", where=_WHERE, hint=hint)
    return parts


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
