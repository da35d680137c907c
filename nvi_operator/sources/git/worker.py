"""From a tip of a remote to a directory with its files: a process that the daemon ends when it takes too long.

Standard input: a `Job` as JSON. Standard output: a `Checkout` and its directory, or an error, as JSON. It ends with
the daemon, and git ends with it. A lock keeps a second worker out of the same directory.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import resource
import signal
import sys
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from nvi_operator.dataclass import dataclass
from nvi_operator.errors import NviError, RefusedError, SourceError
from nvi_operator.sources.git.checkouts import Checkout, Checkouts
from nvi_operator.sources.git.command import Remote
from nvi_operator.sources.git.refs import TAGS, object_format, short_ref, version
from nvi_operator.sources.git.repository import Repository, end_with_parent, read_blobs
from nvi_operator.sources.git.tree import spec_blobs
from nvi_operator.sources.git.verify import Signatures

MOST_BYTES = 1 << 30  # of a pack; setrlimit(2): git's own limit, receive.maxInputSize, is of pushes only


@dataclass(frozen=True)
class Job:
    """`ref` of `remote`, the files below `path` in it, into `directory`. `object` is what the ref named when it was
    asked for.
    """

    remote: Remote
    ref: str
    path: str
    directory: str
    object: str = ""
    allow_rewind: bool = False
    signatures: Signatures | None = None  # None: none is needed
    testing: str = ""  # the ref of a testing branch, which is followed where it is ahead
    testing_object: str = ""

    def json(self) -> bytes:
        return json.dumps(asdict(self)).encode()

    @staticmethod
    def of(data: bytes) -> Job:
        fields = json.loads(data)
        signatures = Signatures(**fields["signatures"]) if fields["signatures"] else None
        return Job(**{**fields, "remote": Remote(**fields["remote"]), "signatures": signatures})


def fetch(job: Job) -> dict[str, Any]:
    """The checkout, and the tree with it. Raises SourceError or OSError."""
    checkouts = Checkouts(Path(job.directory))
    before = checkouts.checkout()
    if before is not None and before.remote != job.remote.url:
        before = None  # another repository has another history
    repository = Repository(checkouts.repository, job.remote)
    notes = [note for note in (repository.prepare(object_format(job.object)),) if note]
    checkout = _fetch_ref(job, repository, before)
    if job.testing:
        looked_at = job.testing_object
        try:
            tested, testing = _fetch_testing(job, repository, checkout)
            if tested is not None:
                found, tree = _write(job, checkouts, repository, replace(tested, testing=testing))
                return {"checkout": found.json(), "tree": str(tree), "notes": notes}
        except RefusedError as error:
            notes.append(f"{error.message}: {short_ref(job.ref)} is followed")
        except SourceError as error:  # whoever may push there must not hold up what is followed
            if before is not None and before.seen.get(job.ref) == checkout.seen[job.ref]:
                raise
            notes.append(f"{error.message}: {short_ref(job.ref)} is followed meanwhile")
            looked_at = ""  # it is tried again
        checkout = replace(checkout, testing=looked_at)
    found, tree = _write(job, checkouts, repository, checkout)
    return {"checkout": found.json(), "tree": str(tree), "notes": notes}


def _fetch_ref(job: Job, repository: Repository, before: Checkout | None) -> Checkout:
    """What the followed branch or tag has, once it is known to be neither a rewind nor unsigned."""
    seen = dict(before.seen) if before else {}
    last = seen.get(job.ref, "")
    is_tag = job.ref.startswith(TAGS)
    # Without history at first; from then on what is new since, which is enough to see whether it descends. Where the
    # repository was lost, the whole branch.
    shallow = is_tag or not last or (job.allow_rewind and not repository.has(last))
    identity = repository.fetch(job.ref, shallow=shallow)
    commit = repository.commit_of(identity)
    if not job.allow_rewind:
        _refuse_rewind(job, repository, identity, commit, last, before)
    if job.signatures is not None and is_tag and identity == commit:
        raise RefusedError(
            f"tag {short_ref(job.ref)}: refused: it is a name only, without a signature", hint="sign it: git tag -s"
        )
    kept = {ref: seen[ref] for ref in seen if not (is_tag and ref.startswith(TAGS))}
    return Checkout(
        commit=commit,
        ref=job.ref,
        remote=job.remote.url,
        path=job.path,
        signer=_signer(job, repository, job.ref, identity),
        seen={**kept, job.ref: identity},
    )


def _fetch_testing(job: Job, repository: Repository, main: Checkout) -> tuple[Checkout | None, str]:
    """The testing branch where it is ahead of the followed one; and the commit that was looked at."""
    repository.accept(main.commit)  # what is fetched next must not let it go
    commit = repository.commit_of(repository.fetch(job.testing, shallow=False))
    if commit == main.commit or not repository.descends(commit, main.commit):
        return None, commit
    return replace(main, commit=commit, ref=job.testing, signer=_signer(job, repository, job.testing, commit)), commit


def _signer(job: Job, repository: Repository, ref: str, identity: str) -> str:
    if job.signatures is None:
        return ""
    return repository.verify(identity, short_ref(ref), job.signatures, Path(job.directory) / "gnupg")


def _write(job: Job, checkouts: Checkouts, repository: Repository, checkout: Checkout) -> tuple[Checkout, Path]:
    """The files of a commit, on the disk."""
    commit = checkout.commit
    author, subject = repository.describe(commit)
    where = f"{commit[:12]}:{job.path}" if job.path else commit[:12]
    blobs = spec_blobs(repository.tree(commit, job.path), where)
    if not blobs:
        raise RefusedError(f"{where}: no YAML files in this directory", hint="look at spec.source.git.path")
    contents, targets = read_blobs(repository, blobs, where)
    found = replace(checkout, author=author, subject=subject, files={blob.path: blob.object for blob in blobs})
    tree = checkouts.write(found, contents, targets)
    repository.accept(found.commit)
    return found, tree


def _refuse_rewind(
    job: Job, repository: Repository, identity: str, commit: str, last: str, before: Checkout | None
) -> None:
    hint = "if that is meant, set spec.source.git.allowRewind for this one time, and restart the service"
    name = short_ref(job.ref)
    if job.ref.startswith(TAGS):
        tags = [ref for ref in (before.seen if before else {}) if ref.startswith(TAGS)]
        if last and last != identity:
            raise RefusedError(f"tag {name}: refused: it moved, from {last[:12]} to {identity[:12]}", hint=hint)
        higher = [short_ref(ref) for ref in tags if version(short_ref(ref)) > version(name)]
        if higher:
            raise RefusedError(f"tag {name}: refused: {higher[0]} was there before, and is higher", hint=hint)
    elif last and last != commit and not (repository.has(last) and repository.descends(commit, last)):
        raise RefusedError(
            f"branch {name}: refused: its history was rewound: {commit[:12]} does not descend from {last[:12]}",
            hint=hint,
        )


def _answer(job: Job) -> dict[str, Any]:
    try:
        return fetch(job)
    except NviError as error:
        return {"error": error.message, "hint": error.hint, "refused": isinstance(error, RefusedError)}
    except OSError as error:
        hint = "free some space" if error.errno in (errno.ENOSPC, errno.EDQUOT) else ""
        return {"error": f"{error.filename or job.directory}: {error.strerror or error}", "hint": hint}


def main() -> int:
    end_with_parent()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    os.umask(0o077)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_FSIZE, (MOST_BYTES, MOST_BYTES))
    job = Job.of(sys.stdin.buffer.read())
    with open(Path(job.directory) / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        sys.stdout.write(json.dumps(_answer(job)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
