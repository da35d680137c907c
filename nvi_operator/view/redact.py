"""Replaces secrets, and on request what tells whose gateway it is, in the texts of a report. Pure.

One value has one replacement in all texts of a Redactor, so that they can still be compared. Addresses that are not
global stay as they are: they tell nothing, and a report without them says nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from nvi_operator.pattern import pattern

REMOVED = "REMOVED"

_PEM = pattern(r"-----BEGIN ([A-Z0-9 ]+)-----.*?(-----END \1-----|\Z)", re.DOTALL)
_USERINFO = pattern(r"(?<=://)[^\s/@]+(?=@)")
_WORDS = r"passw(?:or)?d|passphrase|secret|token|psk|api-?key|private[-_]?key|preshared[-_]?key"
_NAMED = pattern(
    rf"""(?ix) ( (?:{_WORDS}) ["']? \s* [:=] \s* | \b authorization ["']? \s* [:=] \s* (?:basic|bearer)? \s* )
        ( "[^"\n]*" | '[^'\n]*' | [^\s,}}&]+ )"""
)
_QUERY = pattern(r"(https?://[^\s?'\"<>]+\?)[^\s'\"<>]+")
_KEY = pattern(r"(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{43}=(?!=)")  # of WireGuard: 32 bytes in base64

_MAC = pattern(r"(?<![0-9A-Fa-f:])(?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}(?![0-9A-Fa-f:])")
_EMAIL = pattern(r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]+(?:\.[\w-]+)+")
_V4 = re.compile(r"(?<![\w.])((?:\d{1,3}\.){3}\d{1,3})(/\d{1,2})?(?![\w]|\.\d)")
_V6 = re.compile(r"(?<![\w:.])([0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,8})(/\d{1,3})?(?![\w:]|\.\d)")

# In place of public ones, which these are not: RFC 2544 for IPv4, RFC 3849 for IPv6.
_NEW4, _NEW6 = int(IPv4Address("198.18.0.0")), int(IPv6Address("2001:db8:ffff::"))
_MOST_NETWORKS = 512  # of 198.18.0.0/15


def without_secrets(text: str) -> str:
    """Passwords, tokens and keys, wherever they are known by their names or their form."""
    text = _PEM.sub(REMOVED, text)
    text = _USERINFO.sub(REMOVED, text)
    text = _NAMED.sub(rf"\1{REMOVED}", text)
    text = _QUERY.sub(rf"\1{REMOVED}", text)
    return _KEY.sub(REMOVED, text)


class Redactor:
    """Also replaces public addresses, MAC and mail addresses, and `names` of the machine.

    Addresses of one network (/24, and /64 of IPv6) stay in one network, and prefixes stay prefixes.
    """

    def __init__(self, *names: str) -> None:
        self._numbers: dict[str, dict[object, int]] = {}
        known = sorted(filter(None, names), key=len, reverse=True)
        self._names = re.compile("|".join(rf"(?<![\w-]){re.escape(name)}(?![\w-])" for name in known) or r"(?!)")

    def __call__(self, text: str) -> str:
        text = without_secrets(text)
        text = _EMAIL.sub(self._numbered("mail", lambda n: f"user{n}@mail.example"), text)
        text = _MAC.sub(self._mac, text)
        text = _V6.sub(self._address, text)
        text = _V4.sub(self._address, text)
        return self._names.sub("HOST", text)

    def _number(self, what: str, value: object) -> int:
        numbers = self._numbers.setdefault(what, {})
        return numbers.setdefault(value, len(numbers) + 1)

    def _numbered(self, what: str, written: Callable[[int], str]) -> Callable[[re.Match[str]], str]:
        return lambda found: written(self._number(what, found[0]))

    def _mac(self, found: re.Match[str]) -> str:
        value = int(found[0].replace(":", ""), 16)
        if value in (0, (1 << 48) - 1):
            return found[0]
        return (0x020000000000 + self._number("mac", value)).to_bytes(6, "big").hex(":")

    def _address(self, found: re.Match[str]) -> str:
        try:
            address = ip_address(found[1])
        except ValueError:
            return found[0]  # a time, a version
        if not address.is_global or address.is_multicast:
            return found[0]
        length = found[2] or ""
        new = self._replaced(address)
        if _is_network(found[1] + length) and length:
            return str(ip_network(f"{new}{length}", strict=False))
        return f"{new}{length}"

    def _replaced(self, address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
        value = int(address)
        if address.version == 4:
            number = self._number("v4", value >> 8) % _MOST_NETWORKS
            return IPv4Address(_NEW4 + (number << 8) + (value & 0xFF))
        low = value & ((1 << 64) - 1)
        # The low half may hold a MAC address; small ones were given by hand.
        host = low if low < 1 << 16 else (1 << 32) + self._number("v6 host", low)
        return IPv6Address(_NEW6 + (self._number("v6", value >> 64) << 64) + host)


def _is_network(text: str) -> bool:
    try:
        ip_network(text)
    except ValueError:
        return False
    return True
