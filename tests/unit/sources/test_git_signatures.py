"""What git says of each kind of signature (git 2.39, GnuPG 2.2, OpenSSH 9.2), and what follows for the gateway."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from nvi_operator.errors import NviError, RefusedError
from nvi_operator.sources.git import worker
from nvi_operator.sources.git.checkouts import Checkout, Checkouts
from nvi_operator.sources.git.command import Remote
from nvi_operator.sources.git.verify import Signatures
from nvi_operator.sources.git.worker import Job
from tests.lab.remote import GitRemote

pytestmark = pytest.mark.slow  # keys are made, by processes of gpg and ssh-keygen

SPEC = {"gateway.yaml": "a: 1\n"}


class Author:
    """Commits and tags with keys of both kinds, and an operator that asks for signatures."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.remote = GitRemote(directory)
        self.checkouts = Checkouts(directory / "state")
        self.checkouts.prepare()
        self.home = directory / "gnupg"
        self.home.mkdir(mode=0o700)
        for name in ("alice", "late", "revoked", "other", "nobody"):
            self.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(directory / name))
        self.run("ssh-keygen", "-q", "-k", "-f", str(directory / "krl"), str(directory / "revoked.pub"))
        keys = {
            name: " ".join((directory / f"{name}.pub").read_text().split()[:2]) for name in ("alice", "late", "other")
        }
        (directory / "allowed").write_text(
            f"alice@example.net {keys['alice']}\n"
            f'late@example.net valid-after="20200101",valid-before="20210101" {keys["late"]}\n'
            f'other@example.net namespaces="file" {keys["other"]}\n'
            f"revoked@example.net {(directory / 'revoked.pub').read_text()}"
        )
        self.signatures = Signatures(str(directory / "allowed"), str(directory / "krl"), "")

    def run(self, *command: str) -> str:
        variables = {**os.environ, "GNUPGHOME": str(self.home)}
        done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout

    def ssh(self, key: str, *options: str, **environment: str) -> None:
        ssh = ("-c", "gpg.format=ssh", "-c", f"user.signingkey={self.directory / key}")
        self.commit(ssh, "-S", *options, **environment)

    def gpg_key(self, name: str, *options: str, validity: str = "never") -> str:
        """Its fingerprint."""
        key = f"{name} <{name}@example.net>"
        gpg = ("gpg", "--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", "")
        self.run(*gpg, *options, "--quick-gen-key", key, "ed25519", "sign", validity)
        listed = self.run("gpg", "--list-keys", "--with-colons", f"{name}@example.net")
        return next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr"))

    def gpg(self, name: str, program: str = "gpg") -> None:
        settings = ("-c", f"user.signingkey={name}@example.net", "-c", f"gpg.program={program}")
        self.commit(settings, "-S", GNUPGHOME=str(self.home))

    def commit(self, settings: tuple[str, ...], *options: str, **environment: str) -> None:
        self.remote.work.joinpath("gateway.yaml").write_text("a: 1\n")
        self.remote.git("add", "-A")
        self.remote.git(*settings, "commit", "-q", "--allow-empty", "-m", "a change", *options, **environment)
        self.remote.push()

    def fetched(self, ref: str = "refs/heads/main") -> Checkout:
        remote = Remote(self.remote.url, "file")
        job = Job(remote, ref, "", str(self.checkouts.directory), signatures=self.signatures)
        answer = worker.fetch(job)
        self.checkouts.publish(Path(answer["tree"]))
        return Checkout.of(answer["checkout"])

    def refused(self, ref: str = "refs/heads/main") -> str:
        with pytest.raises(RefusedError) as caught:
            self.fetched(ref)
        return caught.value.message.partition("refused: ")[2]


@pytest.fixture
def author(tmp_path: Path) -> Author:
    return Author(tmp_path)


SSH: dict[str, tuple[Callable[[Author], None], str]] = {
    "unsigned": (lambda a: a.commit(()), "it has no signature"),
    "a key that is not listed": (lambda a: a.ssh("nobody"), "is not in allowedSigners"),
    "a key for other things than git": (
        lambda a: a.ssh("other"),
        "does not match, or the key is revoked, or not for git",
    ),
    "a key that is revoked": (lambda a: a.ssh("revoked"), "does not match, or the key is revoked, or not for git"),
    "a key whose time is over": (lambda a: a.ssh("late"), "has expired at the time of the commit"),
    "a key whose time has not come": (
        lambda a: a.ssh("late", GIT_COMMITTER_DATE="2019-06-01T00:00:00Z"),
        "is not yet valid at the time of the commit",
    ),
    "an unsigned merge of signed commits": (
        lambda a: (a.ssh("alice"), merge(a))[-1],  # type: ignore[func-returns-value]
        "it has no signature",
    ),
}


def merge(author: Author, *settings: str) -> None:
    git = author.remote.git
    git("checkout", "-q", "-b", "side")
    git(*settings, "commit", "-q", "--allow-empty", "-m", "side")
    git("checkout", "-q", "main")
    sign = ("-S",) if settings else ()
    git(*settings, "merge", "-q", "--no-ff", *sign, "-m", "merge", "side")
    author.remote.push()


@pytest.mark.parametrize(("act", "why"), SSH.values(), ids=SSH)
def test_an_ssh_signature_that_git_does_not_accept_is_refused_with_the_reason(
    author: Author, act: Callable[[Author], None], why: str
) -> None:
    act(author)
    assert author.refused().endswith(why)
    assert author.checkouts.checkout() is None


def test_a_good_ssh_signature_names_its_signer_and_one_of_the_keys_time_still_counts(author: Author) -> None:
    author.ssh("alice")
    assert author.fetched().signer.startswith("alice@example.net (ED25519 key SHA256:")
    # git looks at the time of the commit, which its author writes: an expired key goes on the revocation list.
    author.ssh("late", GIT_COMMITTER_DATE="2020-06-01T00:00:00Z")
    assert author.fetched().signer.startswith("late@example.net")


def test_the_signer_of_a_merge_answers_for_what_is_merged(author: Author) -> None:
    author.ssh("alice")
    author.fetched()
    merge(author, "-c", "gpg.format=ssh", "-c", f"user.signingkey={author.directory / 'alice'}")
    assert author.fetched().signer.startswith("alice@example.net")


def test_a_commit_that_was_changed_after_it_was_signed_is_refused(author: Author) -> None:
    author.ssh("alice")
    raw = author.remote.git("cat-file", "commit", "HEAD").replace("a change", "another")
    file = author.directory / "commit"
    file.write_text(raw + "\n")
    author.remote.git("update-ref", "HEAD", author.remote.git("hash-object", "-t", "commit", "-w", str(file)))
    author.remote.push()
    assert "does not match" in author.refused()


def test_gpg_keys_count_while_they_are_neither_expired_nor_revoked(author: Author) -> None:
    fingerprint = author.gpg_key("grace")
    keyring = author.directory / "keys.asc"

    def export() -> None:
        keyring.write_text(author.run("gpg", "--armor", "--export", fingerprint))
        author.signatures = Signatures(keyring=str(keyring))

    export()
    author.gpg("grace")
    found = author.fetched()
    assert found.signer == f"grace <grace@example.net> ({fingerprint[-16:]})"
    author.remote.git("tag", "v0")
    author.remote.git(
        "-c", "user.signingkey=grace@example.net", "tag", "-s", "-m", "x", "v1", GNUPGHOME=str(author.home)
    )
    author.remote.git("tag", "-a", "-m", "x", "v2")
    author.remote.git("update-ref", "refs/tags/v3", author.remote.git("rev-parse", "v1"))
    author.remote.push("v0", "v1", "v2", "v3")
    assert author.refused("refs/tags/v0") == "it is a name only, without a signature"
    assert author.fetched("refs/tags/v1").signer == found.signer
    assert author.refused("refs/tags/v2") == "it has no signature"
    assert author.refused("refs/tags/v3") == "it was signed under another name"
    # A key that expired or is revoked since: what it signed before counts no more, and what is in force stays.
    author.gpg("grace")
    revocation = author.home / "openpgp-revocs.d" / f"{fingerprint}.rev"
    revocation.write_text(revocation.read_text().replace(":-----", "-----"))
    author.run("gpg", "--batch", "--import", str(revocation))
    export()
    assert author.refused() == "the key of grace <grace@example.net> is revoked"
    author.gpg_key("eve")
    author.gpg("eve")
    assert author.refused().endswith("is not in the keyring")
    assert author.checkouts.found().commit == found.commit
    author.run("gpgconf", "--kill", "all")


def test_a_commit_of_a_gpg_key_that_expired_since_is_refused(author: Author) -> None:
    then = ("--faked-system-time", "20200101T000000")
    fingerprint = author.gpg_key("grace", *then, validity="1d")
    author.signatures = Signatures(keyring=str(author.directory / "keys"))
    (author.directory / "keys").write_text(author.run("gpg", "--armor", "--export", fingerprint))
    gpg = author.directory / "gpg"
    gpg.write_text('#!/bin/sh\nexec gpg --faked-system-time 20200101T010000 "$@"\n')
    gpg.chmod(0o755)
    author.gpg("grace", program=str(gpg))
    assert author.refused() == "the key of grace <grace@example.net> has expired"
    author.run("gpgconf", "--kill", "all")


def test_nothing_is_accepted_while_a_list_cannot_be_read(author: Author) -> None:
    author.ssh("alice")
    author.signatures = Signatures(str(author.directory / "allowed"), str(author.directory / "absent"))
    with pytest.raises((OSError, NviError)):
        author.fetched()
