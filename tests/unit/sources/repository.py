"""What a repository with a spec holds, and one fetch of it as the worker makes it."""

from __future__ import annotations

from pathlib import Path

from nvi_operator.sources.git import worker
from nvi_operator.sources.git.checkouts import Checkout, Checkouts
from nvi_operator.sources.git.command import Remote
from nvi_operator.sources.git.worker import Job
from tests.lab.remote import GitRemote

GOOD = {
    "gateways/edge/gateway.yaml": "a: 1\n",
    "gateways/edge/lists/forwards.csv": "name\n",
    "README.md": "no spec\n",
}


def fetch(remote: GitRemote, checkouts: Checkouts, ref: str = "refs/heads/main", **more: object) -> Checkout:
    """Fetch and publish. Raises SourceError."""
    fields = {"path": "gateways/edge", **more}
    answer = worker.fetch(Job(Remote(remote.url, "file"), ref, directory=str(checkouts.directory), **fields))  # type: ignore[arg-type]
    checkouts.publish(Path(answer["tree"]))
    return Checkout.of(answer["checkout"])
