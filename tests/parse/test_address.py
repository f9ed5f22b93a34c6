"""Addresses and URLs: RFC 3986's parts, nothing decoded, nothing that breaks."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secmon.model.event import Event
from secmon.parse.address import host_port, is_ip, port_of, source_of, url_of


@given(st.ip_addresses().map(str) | st.text("0123456789.:abcdef%/ ", max_size=20) | st.text())
def test_an_address_is_what_the_standard_library_takes_for_one(text: str) -> None:
    def holds() -> bool:
        try:
            ipaddress.ip_address(text)
        except ValueError:
            return False
        return "%" not in text

    assert is_ip(text) == holds()


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("192.0.2.1", {"source.ip": "192.0.2.1", "source.address": "192.0.2.1"}),
        ("lab.example.edu.cn", {"source.domain": "lab.example.edu.cn", "source.address": "lab.example.edu.cn"}),
        ("-", {}),
    ],
)
def test_a_source_is_an_address_or_a_domain(text: str, fields: Event) -> None:
    assert source_of(text) == fields


@pytest.mark.parametrize(("text", "port"), [("0", 0), ("65535", 65535), ("65536", None), ("²", None), ("", None)])
def test_a_port_is_a_number_up_to_65535(text: str, port: int | None) -> None:
    assert port_of(text) == port


def test_a_literal_ipv6_host_keeps_its_brackets() -> None:
    assert host_port("[2001:DB8::1]:8443") == {"url.domain": "[2001:db8::1]", "url.port": 8443}


def test_a_whole_url_is_taken_apart() -> None:
    assert url_of("https://li:secret@Jwxt.example.edu.cn:8443/a?b=c?d") == {
        "url.original": "https://li:secret@Jwxt.example.edu.cn:8443/a?b=c?d",
        "url.scheme": "https",
        "url.username": "li",
        "url.domain": "jwxt.example.edu.cn",
        "url.port": 8443,
        "url.path": "/a",
        "url.query": "b=c?d",
    }


@pytest.mark.parametrize("target", ["*", "mail.example.com:25", "..%2f"])
def test_other_request_targets_have_no_path(target: str) -> None:
    assert url_of(target) == {"url.original": target}


@given(st.text())
def test_no_text_breaks_it(text: str) -> None:
    assert url_of(text)["url.original"] == text
    assert url_of(f"http://{text}")["url.scheme"] == "http"
