"""The Operator document: read `Operator` first.

A new section is a model here, a field of `OperatorSpec`, and the code that does what it says: no field is accepted
that nothing reads. The page docs/operator.md and the schema are made of these models.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from nvi_operator.language.model.base import Model
from nvi_operator.language.model.checks import Check
from nvi_operator.language.model.fields import Addresses, HostName, Maybe, Name, OrShort, as_tuple
from nvi_operator.language.model.validators import BeforeValidator
from nvi_operator.language.operator.fields import Duration, EventKinds, FilePath, HookTarget, MetricsTargets
from nvi_operator.language.operator.git import GitSource, SignaturesSpec
from nvi_operator.language.operator.values import parse_hook
from nvi_operator.language.wording import HintedError


class Source(Model):
    """Where the gateway's spec comes from: one of the two."""

    directory: Maybe[FilePath] = Field(
        None, description="A directory of this machine, or a file, as with `nvictl run DIR`: changes are applied."
    )
    git: Maybe[GitSource] = Field(None, description="A git repository ([how-to](how-to/git.md)).")

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if (self.directory is None) == (self.git is None):
            raise ValueError("give directory or git, one of them")
        return self


class HookSpec(Model):
    """A program or web address that is told of events. The short form is the target: it is told of all."""

    to: HookTarget = Field(
        description="A program as an absolute path, which gets the event as JSON on standard input; or a http or "
        "https address, which the event is posted to."
    )
    events: Maybe[EventKinds] = Field(None, description="The kinds of events. Left out: all.")


def _hook(value: Any) -> Any:
    return value if isinstance(value, dict | HookSpec) else {"to": parse_hook(value)}


_HOOK_SCHEMA = {"type": "string", "examples": ["/usr/local/bin/on-uplink"]}
Hooks = Annotated[
    tuple[Annotated[HookSpec, BeforeValidator(_hook), OrShort(_HOOK_SCHEMA)], ...], BeforeValidator(as_tuple)
]


class Confirmation(Model):
    """A new spec is given up unless it is confirmed (docs/how-to/confirm.md)."""

    within: Duration = Field(
        ge=1, description="The time for the confirmation. It survives restarts; a reboot ends it, unconfirmed."
    )
    by: Literal["hand", "proof"] = Field(
        "hand",
        description="hand: by `nvictl confirm`. proof: by itself, when after the apply the remote of `source.git` "
        "answers through the new gateway, and the checks pass; `nvictl confirm` does it as well.",
    )


class OperatorSpec(Model):
    """What `nvictl run` does, in place of its arguments."""

    gateway: Maybe[Name] = Field(
        None, description="The gateway to follow, where the source has several. Left out: the one of this host."
    )
    host: Maybe[HostName] = Field(
        None,
        description="The name of this machine in the spec (`spec.host`, documents of kind Host, `{hostname}`). Left "
        "out: its hostname.",
    )
    source: Source
    signatures: Maybe[SignaturesSpec] = Field(None, description="Whose signature a commit of `source.git` needs.")
    rescan: Duration = Field(60.0, ge=1, description="Check files and kernel at least this often.")
    confirm: Maybe[Confirmation] = Field(
        None, description="Return to the confirmed spec unless each new one is confirmed. Left out: it stays."
    )
    checks: dict[Name, Check] = Field(
        default_factory=dict,
        description="What has to work after a change that worked before it, by name, beside the checks of the "
        "gateway's spec. If it does not, the gateway returns to the revision that was confirmed last.",
    )
    protect: Maybe[Addresses] = Field(
        None,
        description="Addresses that the gateway has to go on reaching, such as that of a bastion: a change after "
        "which no route leads to one that it reaches now is refused. The remote of `source.git` is one by itself.",
    )
    metrics: MetricsTargets = Field(
        (),
        description="Where metrics for Prometheus are: a loopback address with a port, `unix:` and the path of a "
        "socket, or the path of a file for node_exporter.",
    )
    hooks: Hooks = Field((), description="Programs and web addresses that are told of events.")

    @model_validator(mode="after")
    def _signs_commits(self) -> Self:
        if self.signatures and not self.source.git:
            raise ValueError("signatures are of commits: they go with source.git")
        return self

    @model_validator(mode="after")
    def _can_prove(self) -> Self:
        if self.confirm and self.confirm.by == "proof" and not self.source.git:
            raise HintedError(
                "confirm.by: the proof is that the remote of source.git answers, and there is none",
                "write `by: hand`, or let checks of the Gateway decide",
            )
        return self


class Operator(Model):
    """The one document of the file."""

    api_version: Literal["nvi-operator/v1"]
    kind: Literal["Operator"]
    spec: OperatorSpec
