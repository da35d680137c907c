"""A git source: what is fetched, what is refused, and what is left when it fails."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nvi_operator.errors import SourceError
from nvi_operator.sources.git.checkouts import Checkout, Checkouts
from nvi_operator.sources.git.command import Remote, command, environment, explained
from nvi_operator.sources.git.refs import choose, version
from nvi_operator.sources.git.tree import spec_blobs
from tests.lab.remote import GitRemote
from tests.unit.sources.repository import GOOD, fetch

pytestmark = pytest.mark.slow  # git, in processes by the dozen


def refusal(remote: GitRemote, checkouts: Checkouts, ref: str = "refs/heads/main", **more: object) -> str:
    with pytest.raises(SourceError) as caught:
        fetch(remote, checkouts, ref, **more)
    return caught.value.message


# --------------------------------------------------------------------------- what is written


def test_the_files_of_a_spec_are_written_and_nothing_else(remote: GitRemote, checkouts: Checkouts) -> None:
    (remote.work / "gateways/edge").mkdir(parents=True)
    (remote.work / "gateways/edge/link.yaml").symlink_to("gateway.yaml")
    commit = remote.commit({**GOOD, "gateways/edge/.hidden.yaml": "x", "gateways/edge/hook.sh": "rm -rf /"})
    found = fetch(remote, checkouts)
    assert (found.commit, found.ref, found.author) == (commit, "refs/heads/main", "Ada <ada@example.net>")
    files = sorted(str(p.relative_to(checkouts.spec)) for p in checkouts.spec.rglob("*") if not p.is_dir())
    assert files == ["gateway.yaml", "link.yaml", "lists/forwards.csv"]
    assert (checkouts.spec / "gateway.yaml").read_text() == "a: 1\n"
    assert stat.S_IMODE((checkouts.spec / "gateway.yaml").stat().st_mode) == 0o600
    assert checkouts.found() == found


def test_attributes_filters_and_hooks_of_the_repository_do_nothing(remote: GitRemote, checkouts: Checkouts) -> None:
    remote.commit({**GOOD, "gateways/edge/.gitattributes": "* text eol=crlf filter=evil ident\n"})
    hook = remote.path / "hooks" / "post-upload-pack"
    hook.parent.mkdir(exist_ok=True)
    fetch(remote, checkouts)
    assert (checkouts.spec / "gateway.yaml").read_bytes() == b"a: 1\n"
    assert not list((checkouts.repository / "hooks").glob("*") if (checkouts.repository / "hooks").exists() else [])


def test_the_first_fetch_has_no_history_and_later_ones_only_what_is_new(
    remote: GitRemote, checkouts: Checkouts
) -> None:
    for number in range(5):
        remote.commit({"gateways/edge/gateway.yaml": f"a: {number}\n"})
    count = ["git", f"--git-dir={checkouts.repository}", "rev-list", "--count", "refs/nvi/accepted"]
    fetch(remote, checkouts)
    assert subprocess.check_output(count) == b"1\n"
    remote.commit({"gateways/edge/gateway.yaml": "a: 6\n"})
    fetch(remote, checkouts)
    assert subprocess.check_output(count) == b"2\n"


def test_a_link_out_a_submodule_lfs_and_strange_names_are_refused_by_name(
    remote: GitRemote, checkouts: Checkouts
) -> None:
    first = remote.commit(GOOD)
    fetch(remote, checkouts)
    edge = remote.work / "gateways/edge"

    def refused(change: Callable[[], object]) -> str:
        change()
        remote.git("add", "-A", "gateways/edge/*.*")
        remote.git("commit", "-q", "-m", "x")
        remote.push()
        told = refusal(remote, checkouts)
        remote.git("reset", "-q", "--hard", first)
        remote.git("clean", "-qfd")
        return told.partition("refused: ")[2]

    for target in ("/etc/shadow", "../../../x.yaml", "lists/../../../README.md"):
        told = refused(lambda target=target: (edge / "out.yaml").symlink_to(target))  # type: ignore[misc]
        assert told == f"out.yaml: the symlink leads out of the tree: {target!r}"
    submodule = f"160000,{first},gateways/edge/sub"
    assert refused(lambda: remote.git("update-index", "--add", "--cacheinfo", submodule)).startswith(
        "sub: it is a subm"
    )
    lfs = "version https://git-lfs.github.com/spec/v1\noid sha256:0\n"
    assert "in Git LFS" in refused(lambda: (edge / "big.csv").write_text(lfs))
    assert "characters that no file name" in refused(lambda: (edge / "a\nb.yaml").write_text("x"))
    assert (checkouts.spec / "gateway.yaml").read_text() == "a: 1\n", "the one in force is as it was"


@pytest.mark.parametrize("name", ["../x.yaml", "a/../../x.yaml", "/x.yaml", "a//x.yaml", ".GIT/x.yaml", "./x.yaml"])
def test_a_name_that_leads_out_is_refused_though_git_would_not_write_it(name: str) -> None:
    with pytest.raises(SourceError, match="leads out of the tree"):
        spec_blobs(f"100644 blob {'0' * 40}       1\t{name}\0".encode(), "here")


def test_what_is_too_large_is_refused_before_it_is_read() -> None:
    line = f"100644 blob {'0' * 40} {200 << 20}\tbig.yaml\0".encode()
    with pytest.raises(SourceError, match=r"here: refused: big.yaml: it has 200 MiB: more than 128"):
        spec_blobs(line, "here")
    half = b"".join(f"100644 blob {'0' * 40} {100 << 20}\t{n}.yaml\0".encode() for n in "abc")
    with pytest.raises(SourceError, match=r"c.yaml: the spec up to this file has more than 256 MiB"):
        spec_blobs(half, "here")
    spec_blobs(line.replace(b"big.yaml", b"big.iso"), "here")


def test_a_path_that_is_not_there_says_what_is(remote: GitRemote, checkouts: Checkouts) -> None:
    commit = remote.commit(GOOD)
    assert refusal(remote, checkouts, path="gateways/ege") == (
        f"{commit[:12]}: no directory 'gateways/ege' in this commit"
    )
    remote.git("update-index", "--add", "--cacheinfo", f"160000,{commit},gateways/sub")
    remote.git("commit", "-qm", "a submodule")
    remote.push()
    assert refusal(remote, checkouts, path="gateways/sub").endswith(
        ": gateways/sub is a submodule: these are not fetched"
    )


# --------------------------------------------------------------------------- rewinds and tags


def test_a_rewound_branch_is_refused_unless_allowed(remote: GitRemote, checkouts: Checkouts) -> None:
    first = remote.commit(GOOD)
    second = remote.commit({"gateways/edge/gateway.yaml": "a: 2\n"})
    fetch(remote, checkouts)
    remote.git("reset", "-q", "--hard", first)
    remote.push()
    assert "its history was rewound" in refusal(remote, checkouts)
    other = remote.commit({"gateways/edge/gateway.yaml": "a: 3\n"})
    told = refusal(remote, checkouts)
    assert told.endswith(f"{other[:12]} does not descend from {second[:12]}")
    assert fetch(remote, checkouts, allow_rewind=True).commit == other


def test_a_rewind_is_known_although_the_repository_was_lost(remote: GitRemote, checkouts: Checkouts) -> None:
    first = remote.commit(GOOD)
    remote.commit({"gateways/edge/gateway.yaml": "a: 2\n"})
    fetch(remote, checkouts)
    (checkouts.repository / "HEAD").unlink()  # damaged
    third = remote.commit({"gateways/edge/gateway.yaml": "a: 3\n"})
    assert fetch(remote, checkouts).commit == third
    assert (checkouts.directory / "damaged.git").exists()
    (checkouts.repository / "HEAD").unlink()
    remote.git("reset", "-q", "--hard", first)
    remote.push()
    assert "its history was rewound" in refusal(remote, checkouts)


def test_the_tag_with_the_highest_version_is_followed_and_never_a_lower_or_moved_one(
    remote: GitRemote, checkouts: Checkouts
) -> None:
    names = ["v1.10", "v1.9", "v2.0", "v2.0-rc1", "v2.0-rc2", "v1.9.1", "other"]
    refs = {f"refs/tags/{name}": "0" * 40 for name in names}
    assert choose(refs, None, "v*").name == "v2.0"
    assert choose({f"refs/tags/v{'9' * 5000}": "0" * 40, **refs}, None, "v*").name == f"v{'9' * 5000}"
    assert sorted(names[:-1], key=version) == ["v1.9", "v1.9.1", "v1.10", "v2.0-rc1", "v2.0-rc2", "v2.0"]
    remote.commit(GOOD)
    remote.git("tag", "v1.0")
    remote.git("tag", "-a", "-m", "two", "v2.0")
    remote.push("v1.0", "v2.0")
    fetch(remote, checkouts, "refs/tags/v2.0")
    assert refusal(remote, checkouts, "refs/tags/v1.0") == "tag v1.0: refused: v2.0 was there before, and is higher"
    remote.commit({"gateways/edge/gateway.yaml": "a: 2\n"})
    remote.git("tag", "-f", "v2.0")
    remote.push("v2.0")
    assert "it moved" in refusal(remote, checkouts, "refs/tags/v2.0")


# --------------------------------------------------------------------------- cuts


def test_a_tree_is_whole_or_not_there(checkouts: Checkouts) -> None:
    def cut() -> Iterator[tuple[str, bytes]]:
        yield "a.yaml", b"1"
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError):
        checkouts.write(Checkout("0" * 40, "refs/heads/main", "x"), cut(), {})
    assert list((checkouts.directory / "trees").iterdir()) == []


def test_a_damaged_tree_is_set_aside_and_named(remote: GitRemote, checkouts: Checkouts) -> None:
    remote.commit(GOOD)
    fetch(remote, checkouts)
    (checkouts.spec / "gateway.yaml").write_text("torn")
    assert "gateway.yaml is not as it was written): set aside as damaged" in checkouts.prepare()
    assert checkouts.checkout() is None
    assert fetch(remote, checkouts).commit


def test_what_a_killed_git_left_does_not_stop_the_next(remote: GitRemote, checkouts: Checkouts) -> None:
    remote.commit(GOOD)
    fetch(remote, checkouts)
    for left in ("shallow.lock", "packed-refs.lock", "refs/nvi/accepted.lock", "objects/pack/tmp_pack_x"):
        (checkouts.repository / left).write_text("")
    remote.commit({"gateways/edge/gateway.yaml": "a: 2\n"})
    fetch(remote, checkouts)
    assert not list(checkouts.repository.rglob("tmp_*"))


# --------------------------------------------------------------------------- secrets, words


def test_no_secret_is_among_arguments_or_variables(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("s3cret\n")
    remote = Remote("https://git.example.net/x.git", "https", token=str(token), user="deploy")
    arguments, variables = (
        command(remote, "credential", "fill"),
        environment(remote, {"GIT_TRACE": "1", "PATH": os.defpath}),
    )
    assert "s3cret" not in f"{arguments} {variables}"
    assert "GIT_TRACE" not in variables
    filled = subprocess.run(
        arguments, env=variables, input=b"protocol=https\nhost=git.example.net\n\n", capture_output=True, check=True
    )
    assert b"username=deploy\npassword=s3cret\n" in filled.stdout


def test_git_may_use_one_transport_and_runs_no_configuration_of_others(remote: GitRemote, tmp_path: Path) -> None:
    remote.commit(GOOD)
    evil = Remote(f"ext::sh -c 'touch {tmp_path}/ran'", "file")
    done = subprocess.run(
        command(evil, "ls-remote", evil.url), env=environment(evil), capture_output=True, check=False
    )
    assert b"transport 'ext' not allowed" in done.stderr
    ssh = Remote(remote.url, "ssh")
    done = subprocess.run(command(ssh, "ls-remote", ssh.url), env=environment(ssh), capture_output=True, check=False)
    assert b"transport 'file' not allowed" in done.stderr
    assert not (tmp_path / "ran").exists()


OPEN_KEY = """\
@         WARNING: UNPROTECTED PRIVATE KEY FILE!          @
Permissions 0644 for '/keys/deploy' are too open.
This private key will be ignored.
Load key "/keys/deploy": bad permissions
git@192.0.2.1: Permission denied (publickey)."""

# OpenSSH 9.2 before git's last line; what is told, and the hint.
SSH_SAYS = (
    (OPEN_KEY, "Permissions 0644 for '/keys/deploy' are too open", "chmod 600 the file of the key"),
    (
        "ssh: connect to host 192.0.2.1 port 22: Connection refused",
        "ssh: connect to host 192.0.2.1 port 22: Connection refused",
        "look at the address and the port, and whether this machine reaches them",
    ),
    ("Connection closed by 192.0.2.1 port 22", "Connection closed by 192.0.2.1 port 22", ""),
    (
        "RSA host key for 192.0.2.1 was revoked and you have requested strict checking.",
        "RSA host key for 192.0.2.1 was revoked and you have requested strict checking",
        "knownHosts says that this key is not to be trusted: ask the host's administrators for the new one",
    ),
    (
        'Load key "/keys/deploy": error in libcrypto\r\ngit@192.0.2.1: Permission denied (publickey).',
        'Load key "/keys/deploy": error in libcrypto',
        "name a file with a private key, as ssh-keygen writes it: spec.source.git.key",
    ),
)


def test_what_git_says_is_told_on_a_line_with_a_hint() -> None:
    assert explained(b"fatal: \x1b[2Jbad\n") == ("?[2Jbad", "")
    for said, why, hint in SSH_SAYS:
        rest = (
            "fatal: Could not read from remote repository.\n\nPlease make sure you have the correct access rights\n"
        )
        assert explained(f"Welcome\r\n{said}\n{rest}".encode()) == (why, hint)
    for said, hint in (
        ("The requested URL returned error: 403", "the token may not read"),
        ("The requested URL returned error: 301", "redirects to"),
        ("certificate subject name (forge) does not match target host name '192.0.2.1'", "the host's name"),
        ("Authentication failed for 'https://git.example.net/x.git/'", "has ended"),
    ):
        assert hint in explained(f"fatal: unable to access 'https://x/': {said}\n".encode())[1], said


def test_a_machine_without_ssh_is_told_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for program in ("git", "sh"):
        (tmp_path / program).symlink_to(shutil.which(program) or "")
    monkeypatch.setenv("PATH", str(tmp_path))
    remote = Remote("git@192.0.2.1:net.git", "ssh", key="/keys/deploy", known_hosts="/keys/known_hosts")
    asking = command(remote, "ls-remote", "--", remote.url)
    done = subprocess.run(asking, env=environment(remote), capture_output=True, check=False)
    assert explained(done.stderr) == ("ssh: not found", "apt-get install openssh-client")
