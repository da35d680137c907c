"""What a report for others does not tell, and what it still tells."""

from __future__ import annotations

import time

import pytest

from nvi_operator.view.redact import Redactor, without_secrets


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("password: hunter2", "password: REMOVED"),
        ('"authToken": "abc def", "x": 1', '"authToken": REMOVED, "x": 1'),
        ("Authorization: Bearer eyJhbGci.x", "Authorization: Bearer REMOVED"),
        ("url: https://me:pw@git.example.org/x.git", "url: https://REMOVED@git.example.org/x.git"),
        ("to: https://chat.example.org/in?token=abc&a=b", "to: https://chat.example.org/in?REMOVED"),
        ("peer 4kq8Rb0tZ3vYdV5q1mJm8l2c9mQ0r7s6t5u4v3w2x1Y= up", "peer REMOVED up"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n-----END OPENSSH PRIVATE KEY-----\nx", "REMOVED\nx"),
        ("tokens used: 5, forwards: 443/tcp", "tokens used: 5, forwards: 443/tcp"),
    ],
)
def test_secrets_are_always_removed(text: str, left: str) -> None:
    assert without_secrets(text) == left
    assert without_secrets(left) == left


def test_one_public_address_has_one_replacement_and_its_network_another_that_holds_it() -> None:
    redact = Redactor()
    assert redact("93.184.216.34:443 93.184.216.0/24 93.184.217.34") == "198.18.1.34:443 198.18.1.0/24 198.18.2.34"
    assert redact("from 93.184.216.34-93.184.216.40.") == "from 198.18.1.34-198.18.1.40."
    assert redact("[2a00:1450:4001::5]:53 2a00:1450:4001::/64") == "[2001:db8:ffff:1::5]:53 2001:db8:ffff:1::/64"
    assert redact("2a00:1450:4001:0:5054:ff:fe12:3456") == "2001:db8:ffff:1:0:1:0:1"
    assert redact("93.184.0.0/16") == "198.18.0.0/16", "a prefix stays one"


@pytest.mark.parametrize(
    "text",
    [
        "192.168.1.80 10.0.0.0/8 100.64.0.1 fd00::1 fe80::1%eth0 ::1 0.0.0.0/0 ::/0 224.0.0.1 ff02::1",
        "203.0.113.2 2001:db8:a::2 198.51.100.0/24",  # of documentation: the lab's
        "12:34:56 2026-11-28T20:54:11 00:00:00:00:00:00 ff:ff:ff:ff:ff:ff v1.2.3.4 0x1f",
    ],
)
def test_what_tells_nothing_stays(text: str) -> None:
    assert Redactor("gw")(text) == text


def test_names_and_hardware_addresses_are_replaced_alike() -> None:
    redact = Redactor("gw.example.net", "gw")
    assert redact("gw.example.net gw gw0 my-gw root@mail.example.net") == "HOST HOST gw0 my-gw user1@mail.example"
    assert (
        redact("link/ether 52:54:00:12:34:56 52:54:00:12:34:57") == "link/ether 02:00:00:00:00:01 02:00:00:00:00:02"
    )
    assert redact("52:54:00:12:34:56") == "02:00:00:00:00:01"


def test_a_large_text_takes_seconds_at_most() -> None:
    rows = "".join(f"{11 + i % 80}.{i // 256 % 256}.{i % 256}.9/32 " for i in range(50_000))
    began = time.process_time()
    Redactor("gw")(rows + "a" * 1_000_000 + "://" + "password" * 10_000 + "1:" * 100_000)
    assert time.process_time() - began < 10
