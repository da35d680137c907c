"""How git is called: no configuration but this one, no terminal, one transport, no secret among its arguments.

The settings are of git 2.39; an older git ignores those that it does not know.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from nvi_operator.dataclass import dataclass
from nvi_operator.pattern import pattern

# From https://git-scm.com/docs/git-config. `fetch.unpackLimit=1`: packs are synced to the disk as a whole.
_SETTINGS = (
    "core.hooksPath=/dev/null",
    "core.attributesFile=/dev/null",
    "core.fsmonitor=false",
    "core.askPass=",
    "credential.helper=",
    "protocol.allow=never",
    "transfer.fsckObjects=true",
    "fetch.unpackLimit=1",
    "fetch.recurseSubmodules=false",
    "fetch.writeCommitGraph=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "http.followRedirects=false",
    "http.lowSpeedLimit=1",
    "http.lowSpeedTime=30",
    "log.mailmap=false",
    "log.showSignature=false",
)
_SSH = (
    "ssh -F /dev/null -T -o BatchMode=yes -o IdentitiesOnly=yes -o IdentityAgent=none -o ForwardAgent=no "
    "-o StrictHostKeyChecking=yes -o GlobalKnownHostsFile=/dev/null -o UpdateHostKeys=no -o ControlMaster=no "
    "-o ControlPath=none -o ProxyCommand=none -o ConnectTimeout=15 -o ServerAliveInterval=10"
)
_KEPT = ("PATH", "TZ", "https_proxy", "HTTPS_PROXY", "no_proxy", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR")


@dataclass(frozen=True)
class Remote:
    """A repository elsewhere, and the files with what it asks for; paths of letters, digits and `._@+=/-`."""

    url: str
    transport: str  # https, ssh or file
    key: str = ""
    known_hosts: str = ""
    token: str = ""
    user: str = ""
    ca: str = ""


def command(remote: Remote, *arguments: str, repository: Path | None = None, more: Sequence[str] = ()) -> list[str]:
    """`git ARGUMENTS`, as it may talk to the remote. `more`: further settings."""
    settings = [*_SETTINGS, *more, f"protocol.{remote.transport}.allow=always"]
    if remote.token:
        # A shell of git's: printf is built in, so that no process has the token among its arguments.
        says = f"printf 'username={remote.user or 'git'}\\npassword=' && cat {remote.token}"
        helper = f'!f() {{ test "$1" = get && {says}; }}; f'
        settings.append(f"credential.helper={helper}")
    place = [] if repository is None else [f"--git-dir={repository}"]
    return ["git", *place, *(part for setting in settings for part in ("-c", setting)), *arguments]


def environment(remote: Remote, inherited: Mapping[str, str] = os.environ, **more: str) -> dict[str, str]:
    """Nothing of this process may lead git elsewhere. `more`: further variables."""
    found = {name: inherited[name] for name in _KEPT if name in inherited}
    found.setdefault("PATH", os.defpath)
    if remote.key:
        found["GIT_SSH_COMMAND"] = f"{_SSH} -o UserKnownHostsFile={remote.known_hosts} -i {remote.key}"
        found["GIT_SSH_VARIANT"] = "ssh"
    if remote.ca:
        found["GIT_SSL_CAINFO"] = remote.ca
    return {
        **found,
        "LC_ALL": "C",
        "HOME": "/nonexistent",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_TERMINAL_PROMPT": "0",
        **more,
    }


_OPENING = pattern(f"^(?:(?:fatal|error|Warning): |{re.escape(_SSH)}.*: (?=ssh: ))")  # a shell's error names all
_BY_SSH = "fatal: Could not read from remote repository."  # ssh has said why, on the line before

# (part of what git or ssh says, what to do)
_HINTS = (
    ("ssh: not found", "apt-get install openssh-client"),
    (
        "has changed and you have requested strict checking",
        "another machine may be answering: ask the host's administrators before you put its new key into knownHosts",
    ),
    (
        "was revoked and you have requested strict checking",
        "knownHosts says that this key is not to be trusted: ask the host's administrators for the new one",
    ),
    ("host key is known for", "put the host's key into the file of knownHosts: ssh-keyscan HOST, and compare it"),
    ("Host key verification failed", "compare the host's key with those in the file of knownHosts"),
    ("are too open", "chmod 600 the file of the key"),
    ("not accessible: ", "name the file of the private key: spec.source.git.key"),
    ("Load key ", "name a file with a private key, as ssh-keygen writes it: spec.source.git.key"),
    (
        "Permission denied (publickey",
        "add the public half of the key to the repository as a deploy key that may read; it must have no passphrase",
    ),
    ("ssh: connect to host", "look at the address and the port, and whether this machine reaches them"),
    ("could not read Username", "name a file with a token: spec.source.git.token"),
    ("Authentication failed", "the token is wrong, has ended, or may not read this repository"),
    ("find remote ref", "push the branch, or name another one"),
    ("dubious ownership", "let root own the repository, or fetch it by ssh or https"),
    ("No space left on device", "free some space in /var/lib/nvi-operator"),
    ("File too large", "the repository is larger than the operator takes: keep specs in a repository of their own"),
    ("does not appear to be a git repository", "look at the address"),
    ("not found", "look at the address, and whether the key or token may read the repository"),
    ("Could not resolve host", "look at the name servers of this machine"),
    ("does not match target host name", "write the address with the host's name as its certificate has it"),
    (
        "certificate",
        "name the file with your own authority's certificate, spec.source.git.ca, or look at this machine's clock",
    ),
    ("returned error: 403", "the token may not read this repository, or the server refuses this machine"),
    ("returned error: 30", "write the address that the server redirects to"),
    ("redirect", "write the address that the server redirects to"),
)


def explained(output: bytes) -> tuple[str, str]:
    """What went wrong, from git's own words, on one line; and what to do."""
    text = output.decode(errors="replace")
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith(("remote:", "hint:"))]
    told = [line for line in lines if line.startswith(("fatal:", "error:"))] or lines
    if told and told[0] == _BY_SSH:
        told = lines[max(0, lines.index(_BY_SSH) - 1) :]
    hint = next((hint for part, hint in _HINTS if part in text), "")
    first = next(
        (line for line in lines if any(part in line for part, _ in _HINTS)), told[0] if told else "no reason"
    )
    words = _OPENING.sub("", first).rstrip(".")
    return "".join(sign if sign.isprintable() else "?" for sign in words)[:300], hint
