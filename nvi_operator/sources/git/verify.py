"""Whose signature a commit or tag has, as git judges it: the exit code of `verify-commit` and `verify-tag` decides.

What they print is read only for the signer's name and the reason (docs/how-to/git.md has each case). Tried with git
2.39, GnuPG 2.2.40 and OpenSSH 9.2.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from nvi_operator.dataclass import dataclass
from nvi_operator.errors import RefusedError, SourceError
from nvi_operator.pattern import pattern

_GPG = pattern(r"^\[GNUPG:\] (GOODSIG|EXPSIG|EXPKEYSIG|REVKEYSIG|BADSIG|NO_PUBKEY) (\S+) ?(.*)$", re.MULTILINE)
_SSH = pattern(r'^Good "git" signature for (.+) with (\S+ key SHA256:\S+)$', re.MULTILINE)
_SSH_UNKNOWN = pattern(r'^Good "git" signature with (\S+ key SHA256:\S+)$', re.MULTILINE)
_SSH_TIME = pattern(r"key (has expired|is not yet valid)")

_REASONS = {
    "EXPSIG": "the signature of {who} has expired",
    "EXPKEYSIG": "the key of {who} has expired",
    "REVKEYSIG": "the key of {who} is revoked",
    "BADSIG": "the signature of {who} does not match the content",
    "NO_PUBKEY": "key {key} is not in the keyring",
}


@dataclass(frozen=True)
class Signatures:
    """Who may sign: files, empty where there is none."""

    allowed_signers: str = ""  # ssh-keygen(1), ALLOWED SIGNERS
    revoked_keys: str = ""  # ssh-keygen(1), KEY REVOCATION LISTS, or public keys
    keyring: str = ""  # public keys, as `gpg --export` writes them


def settings(signatures: Signatures) -> list[str]:
    """The settings for git. A list that is not named is empty."""
    revoked = [f"gpg.ssh.revocationFile={signatures.revoked_keys}"] if signatures.revoked_keys else []
    return [
        f"gpg.ssh.allowedSignersFile={signatures.allowed_signers or os.devnull}",
        *revoked,
        "gpg.minTrustLevel=fully",
        "gpg.program=gpg",
        "gpg.ssh.program=ssh-keygen",
        "gpg.x509.program=false",
    ]


def check_files(signatures: Signatures) -> None:
    """Raises OSError where one cannot be read: git would take a missing list of revoked keys for none."""
    for file in (signatures.allowed_signers, signatures.revoked_keys, signatures.keyring):
        if file:
            with open(file, "rb"):
                pass


def make_home(signatures: Signatures, home: Path) -> None:
    """A directory for GnuPG with these keys alone, all of them trusted. Raises SourceError, OSError."""
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(mode=0o700)
    (home / "gpg.conf").write_text(
        "batch\nno-autostart\ntrust-model always\nno-auto-key-retrieve\nno-auto-key-locate\n"
    )
    if signatures.keyring:
        command = ["gpg", "--homedir", str(home), "--quiet", "--import", signatures.keyring]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        if done.returncode != 0:
            raise SourceError(
                f"{signatures.keyring}: gpg --import: {done.stderr.decode(errors='replace').splitlines()[0]}",
                hint="export the public keys again: gpg --export --armor KEY ...",
            )


def signer(what: str, code: int, output: str) -> str:
    """Whose signature `what` has. Raises RefusedError with the reason where git does not accept it."""
    found = _GPG.search(output)
    ssh = _SSH.search(output)
    if code == 0 and found and found[1] == "GOODSIG":
        return plain_text(f"{found[3]} ({found[2]})")
    if code == 0 and ssh:
        return plain_text(f"{ssh[1]} ({ssh[2]})")
    hint = "sign it: git commit -S, git tag -s"
    if found and found[1] in _REASONS:
        why = _REASONS[found[1]].format(who=plain_text(found[3]), key=found[2])
        hint = "sign it with a key that is in force, or change spec.signatures.keyring"
    elif unknown := _SSH_UNKNOWN.search(output):
        time = _SSH_TIME.search(output)
        state = f"{time[1]} at the time of the commit" if time else "is not in allowedSigners"
        why = f"{unknown[1]} {state}"
        hint = "add the key to the file of spec.signatures.allowedSigners, if its owner may change this gateway"
    elif "Could not verify signature" in output:
        why = "its SSH signature does not match, or the key is revoked, or not for git"
    else:
        why = "it has no signature"
    raise RefusedError(f"{what}: refused: {why}", hint=hint)


def plain_text(text: str) -> str:
    """What a stranger wrote, for a terminal and a log."""
    return "".join(sign if sign.isprintable() else "?" for sign in text)[:200]
