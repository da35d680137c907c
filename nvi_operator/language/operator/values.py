"""Single values of the Operator document. Every parser raises ValueError with a sentence. Imports no model: the
options of `nvictl run` are read by the same functions.
"""

from __future__ import annotations

import re
from contextlib import suppress
from ipaddress import ip_address
from urllib.parse import urlsplit

from nvi_operator.language.model.values import as_text
from nvi_operator.language.wording import HintedError, shown
from nvi_operator.pattern import pattern

LONGEST = 86400.0  # seconds of a duration

# Paths reach the command lines of git and ssh, which read blanks, '%', '~' and quotes in ways of their own.
_PATH = pattern(r"/[A-Za-z0-9._@+=/-]*")
_HEAD = pattern(rb"^[\"']?kind[\"']? *: *[\"']?Operator\b", re.MULTILINE)
_DURATION = pattern(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?")


def may_have_operator(data: bytes) -> bool:
    """A quick no, before a file is parsed for an Operator document."""
    return b"Operator" in data and _HEAD.search(data) is not None


def parse_path(value: object) -> str:
    """An absolute path, without `..`."""
    text = as_text(value, "an absolute path")
    if not text.startswith("/"):
        raise HintedError(f"{shown(text)} is not an absolute path", "begin it with /")
    if not _PATH.fullmatch(text):
        raise HintedError(f"{shown(text)} has characters other than letters, digits and ._@+=-", "rename the file")
    if ".." in text.split("/"):
        raise HintedError(f"{shown(text)} has a part '..'", "write the path without it")
    return text


def parse_duration(value: object) -> float:
    """Seconds: a number, or text such as `90s`, `5m`, `1h30m`."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        seconds = float(value)
    else:
        text = as_text(value, "a duration such as 30s or 5m")
        match = _DURATION.fullmatch(text)
        if not match or not text:
            raise HintedError(f"{shown(text)} is not a duration", "write seconds, or text such as 30s, 5m, 1h30m")
        hours, minutes, rest = match.groups()
        seconds = int(hours or 0) * 3600 + int(minutes or 0) * 60 + float(rest or 0)
    if not 0 <= seconds <= LONGEST:
        raise HintedError(f"{shown(value)} is out of range", "at least 0, and at most 24h")
    return seconds


def parse_metrics(value: object) -> str:
    """A loopback address with its port, `unix:` and the path of a socket, or the path of a file."""
    text = as_text(value, "a loopback address with a port, or an absolute path")
    if text.startswith(("/", "unix:/")):
        return text
    host, _, port = text.rpartition(":")
    if port.isascii() and port.isdecimal() and 0 < int(port) < 65536:
        with suppress(ValueError):
            if ip_address(host.strip("[]")).is_loopback:
                return text
    raise HintedError(
        f"{shown(text)} is neither a loopback address with a port nor an absolute path",
        "write 127.0.0.1:9478, unix:/run/nvi-operator/metrics.sock, or a file for node_exporter",
    )


def parse_hook(value: object) -> str:
    """A program, as an absolute path, or a web address."""
    text = as_text(value, "an absolute path, or a http or https address")
    if text.startswith("/"):
        return text
    if text.startswith(("http://", "https://")) and text.isprintable() and urlsplit(text).hostname:
        return text
    raise HintedError(
        f"{shown(text)} is neither an absolute path nor a http or https address",
        "write /path/of/program or https://...",
    )
