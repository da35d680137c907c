"""A plan in a file: what was reviewed is what gets applied, or nothing is.

The file holds the spec, and of each step what it does and the hashes of the object before and after it: of 100,000
forwards the objects themselves would be megabytes. It is applied where it was made, if the plan of then has just the
same steps: that is asked of another version of nvictl as well, and is all that is asked of it.
"""

from __future__ import annotations

import hashlib
import json
import os
from base64 import b64decode, b64encode
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nvi_operator import __version__
from nvi_operator.dataclass import dataclass
from nvi_operator.errors import ConflictError, NviError, printable
from nvi_operator.history.revision import Content
from nvi_operator.plan.change import Change, Plan
from nvi_operator.plan.sealed import opened, other_version, sealed
from nvi_operator.rollout.place import namespace
from nvi_operator.view.plain import plain_object
from nvi_operator.view.plan import change_lines

_MARK = "nviPlan"
_FORMAT = 3
MAGIC = f'{{"{_MARK}": '.encode()  # the format follows
_SHOWN = 40  # lines of a difference
_LARGE = 1 << 16  # bytes: of larger files only the name is told


@dataclass(frozen=True)
class SavedStep:
    """A step of a plan, as a file holds it: its states as checksums."""

    kind: str
    key: str
    action: str
    before: str  # SHA-256
    after: str
    text: str  # the first line of it, for people

    @property
    def line(self) -> str:
        return f"{self.action} {self.kind} {self.key}: {self.text}"


@dataclass(frozen=True)
class SavedPlan:
    """`root` is where the spec was loaded from, `machine` and `namespace` where the plan was made; `made_by` is the
    version of nvictl that made it, empty where it is this one.
    """

    machine: str
    namespace: str
    root: str
    content: Content
    steps: tuple[SavedStep, ...]
    made_by: str = ""

    @classmethod
    def of(cls, root: Path, content: Content, plan: Plan) -> SavedPlan:
        """Of a plan for the gateway of this network namespace."""
        steps = tuple(map(_step, plan.steps))
        return cls(os.uname().nodename, namespace(), str(root.absolute()), content, steps)

    def refuse_other_place(self) -> None:
        """ConflictError on another machine, or in another network namespace, although it may look the same."""
        machine = os.uname().nodename
        if self.machine != machine:
            there = f"on {printable(self.machine)}, and this is {machine}"
        elif self.namespace != namespace():
            there = "in another network namespace, or before this boot"
        else:
            return
        raise ConflictError(
            f"plan: it was made {there}; nothing was changed", hint="make one here: nvictl plan --out FILE DIR"
        )

    def refuse_other_spec(self, found: Content | None) -> None:
        """`found` is what `root` holds now; None: it is not there any more. ConflictError for another spec."""
        if found is not None and found != self.content:
            raise _changed(self.root, _files(self.content, found))

    def refuse_other_plan(self, plan: Plan) -> None:
        """`plan` is what would be done now, or what became of it meanwhile. ConflictError where that is something
        else.
        """
        now = tuple(map(_step, plan.steps))
        if now == self.steps:
            return
        gone = [f"- {step.line}" for step in self.steps if step not in now]
        new = [f"+ {step.line}" for step in now if step not in self.steps]
        version = f" or nvictl ({self.made_by} then, {__version__} now)" if self.made_by else ""
        raise _changed(f"the kernel{version}", [*gone, *new] or ["  the same steps, in another order"])

    def json(self) -> bytes:
        files = {name: b64encode(data).decode() for name, data in self.content.files.items()}
        rest = {
            "machine": self.machine,
            "namespace": self.namespace,
            "root": self.root,
            "gateway": self.content.gateway,
            "files": files,
            "steps": [asdict(step) for step in self.steps],
        }
        return MAGIC + f"{_FORMAT},".encode() + sealed(rest)[1:]


def is_saved_plan(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return path.is_file() and file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def read(path: Path) -> SavedPlan:
    """Raises NviError."""
    made_by = ""
    try:
        found = json.loads(path.read_bytes())
        made_by = other_version(found)
        if (form := found.pop(_MARK)) != _FORMAT:
            raise ValueError(f"its format is {form!r:.20}, and this nvictl knows {_FORMAT}")
        data = opened(found)
        files = {str(name): b64decode(text, validate=True) for name, text in data["files"].items()}
        steps = tuple(SavedStep(**step) for step in data["steps"])
        content = Content(str(data["gateway"]), files)
        return SavedPlan(str(data["machine"]), str(data["namespace"]), str(data["root"]), content, steps, made_by)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        version = f" of nvictl {made_by} by {__version__}" if made_by else ""
        raise NviError(
            f"{path}: reading the plan{version}: {error}", hint="make it again: nvictl plan --out FILE DIR"
        ) from error


def _step(change: Change) -> SavedStep:
    ref = change.ref
    text = next((line for _, line in change_lines(change)), "")
    before, after = (_hash(ref.kind, obj) for obj in (change.before, change.after))
    return SavedStep(ref.kind, ref.key, change.action.value, before, after, text)


def _hash(kind: str, obj: Any) -> str:
    return hashlib.sha256(json.dumps(plain_object(kind, obj), sort_keys=True).encode()).hexdigest() if obj else ""


def _files(before: Content, after: Content) -> list[str]:
    return [line for name in sorted({*before.files, *after.files}) for line in _file(name, before, after)]


def _file(name: str, before: Content, after: Content) -> Iterator[str]:
    old, new = (content.files.get(name, b"") for content in (before, after))
    if old != new and max(len(old), len(new)) > _LARGE:
        yield f"~ {name}"
    elif old != new:
        one, two = (data.decode(errors="replace").splitlines() for data in (old, new))
        from difflib import unified_diff

        yield from unified_diff(one, two, f"planned/{name}", f"now/{name}", n=0, lineterm="")


def _changed(what: str, lines: list[str]) -> ConflictError:
    more = [f"... and {len(lines) - _SHOWN} more lines"] if len(lines) > _SHOWN else []
    shown = "\n  ".join([*lines[:_SHOWN], *more])
    return ConflictError(
        f"plan: {what} is no longer what the plan was made of; it is not applied:\n  {shown}",
        hint="look at the new plan: nvictl plan --out FILE DIR",
    )
