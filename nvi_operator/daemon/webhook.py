"""Posts one event to a web address: the child process of `hooks.py`. Standard input: the address, a line; the JSON.

The argument is the version to tell. Exit code 0 if the answer is 2xx. A redirect is an error, and no proxy is used.
It imports nothing of nvi_operator: a package keeps that where Python does not look by itself.
"""

from __future__ import annotations

import sys
from http.client import HTTPException
from typing import Any
from urllib.error import URLError
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

SECONDS = 8.0  # less than a hook may take: `hooks.py` tells of one that takes longer


class _NoRedirects(HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def main() -> int:
    address, _, body = sys.stdin.buffer.read().partition(b"\n")
    headers = {"Content-Type": "application/json", "User-Agent": f"nvictl/{sys.argv[1]}"}
    try:
        request = Request(address.decode(), body, headers)
        with build_opener(_NoRedirects, ProxyHandler({})).open(request, timeout=SECONDS):
            return 0
    except (URLError, HTTPException, OSError, ValueError) as error:
        print(f"webhook: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
