"""A web server with git repositories, in a host of the laboratory: what a forge is to an operator.

python -m tests.lab.https_git DIRECTORY ADDRESS PORT CERTIFICATE
"""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.lab.command import ROOT
from tests.lab.net import Host, until


class HttpsGit:
    """The repositories in `directory`, at https://ADDRESS/. `ca` is the file with the certificate to trust."""

    def __init__(self, host: Host, directory: Path) -> None:
        self.host = host
        self.url = f"https://{host.address}"
        self.ca = directory / "server.pem"
        request = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        subject = ["-subj", "/CN=forge", "-addext", f"subjectAltName=IP:{host.address}"]
        key = directory / "key.pem"
        subprocess.run([*request, *subject, "-keyout", key, "-out", self.ca], check=True, capture_output=True)
        self.ca.write_text(self.ca.read_text() + key.read_text())
        arguments = [str(directory), host.address, "443", str(self.ca)]
        with (directory / "forge.log").open("w") as log:
            self._process = host.popen(
                sys.executable, "-m", "tests.lab.https_git", *arguments, cwd=ROOT, stdout=log, stderr=log
            )
        until(lambda: host.call(self._listens), "the forge listens", seconds=20)

    def _listens(self) -> bool:
        with socket.socket() as asking:
            return asking.connect_ex((self.host.address, 443)) == 0

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


class _Handler(BaseHTTPRequestHandler):
    directory = ""

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        variables = {
            "GIT_PROJECT_ROOT": self.directory,
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "REQUEST_METHOD": self.command,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
        }
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        environment = {**os.environ, **variables, "CONTENT_LENGTH": str(len(body))}
        done = subprocess.run(["git", "http-backend"], input=body, env=environment, capture_output=True, check=False)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().splitlines())
        self.send_response(int(fields.pop("Status", "200").split()[0]))
        for name, value in fields.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))  # GnuTLS takes no end without a close_notify
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_GET  # noqa: N815


def main() -> None:
    directory, address, port, certificate = sys.argv[1:]
    _Handler.directory = directory
    server = ThreadingHTTPServer((address, int(port)), _Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.serve_forever()


if __name__ == "__main__":
    main()
