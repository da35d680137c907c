"""What becomes of drift: what another process changes of the gateway's objects.

The translation, the way into it and the guards are always healed: without them packets could leave untranslated.
"""

from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal

from pydantic import Field, WithJsonSchema

from nvi_operator.language.model.base import Model
from nvi_operator.language.model.validators import BeforeValidator
from nvi_operator.language.wording import HintedError, nearest, shown

Policy = Literal["heal", "report", "ignore"]

LEAVABLE = ("sysctl", "route", "link-group", "proxy-neighbour")
ALWAYS_HEALED = (
    "nft-table",
    "fib-rule",
    "link",
    "module",
    "tc-program",
    "egress-guard",
    "ingress-guard",
    "flow-cache",
)
_MAY_BE_LEFT = f"what may be left is {', '.join(LEAVABLE[:-1])} and {LEAVABLE[-1]}"


def _kind(value: object) -> str:
    """A kind whose drift may be left."""
    if value in LEAVABLE:
        return str(value)
    if value in ALWAYS_HEALED:
        message = f"{value}: its drift is always healed: without it packets could leave untranslated"
        raise HintedError(message, _MAY_BE_LEFT)
    close = nearest(str(value), LEAVABLE)
    raise HintedError(
        f"{shown(value)} is not a kind of object", f"did you mean {close!r}?" if close else _MAY_BE_LEFT
    )


def _pattern(value: object) -> str:
    """``sysctl net/ipv4/conf/*/rp_filter``: a kind, and a pattern of its names."""
    kind, space, name = str(value).partition(" ")
    _kind(kind)
    if not space or not name.strip():
        hint = f"write a kind and a pattern, as in `{kind} *`; a whole kind goes into `kinds`"
        raise HintedError(f"{shown(value)} names no object", hint)
    return f"{kind} {name.strip()}"


_Kind = Annotated[str, BeforeValidator(_kind), WithJsonSchema({"enum": list(LEAVABLE)})]
_Pattern = Annotated[
    str,
    BeforeValidator(_pattern),
    WithJsonSchema({"type": "string", "examples": ["sysctl net/ipv4/conf/*/rp_filter", "route *"]}),
]


class DriftPolicy(Model):
    """What becomes of an object that another process changed. The short form is one of heal, report and ignore.

    heal: it is put right at once. report: it stays, and status, drift, events and metrics say so. ignore: it stays,
    and counts as in sync. `nvictl run` follows this; `nvictl apply`, a start of `nvictl run` and a change of the spec
    or the host that is about the object set it all the same. Always healed is what is missing, and the nft table, FIB
    rules, unreachable routes, the device and the routes into it, its program, the guards and the flow cache: without
    them packets could leave untranslated.
    """

    policy: Policy = Field("heal", description="Of all objects that may be left.")
    kinds: dict[_Kind, Policy] = Field(
        default_factory=dict, description="Of kinds of objects: sysctl, route, link-group, proxy-neighbour."
    )
    objects: dict[_Pattern, Policy] = Field(
        default_factory=dict,
        description="Of single objects, by patterns of a kind and a name, as in `sysctl net/ipv4/conf/*/rp_filter`; "
        "`nvictl drift --kernel` shows names. The first that matches wins, and goes before `kinds`.",
    )

    def of(self, kind: str, key: str) -> Policy:
        """The policy for one object, by its kind and key."""
        if kind not in LEAVABLE:
            return "heal"
        name = f"{kind} {key}"
        found = (policy for pattern, policy in self.objects.items() if fnmatchcase(name, pattern))
        return next(found, self.kinds.get(kind, self.policy))


def parse_drift(value: Any) -> Any:
    """A policy, or the fields."""
    return {"policy": value} if isinstance(value, str) else value


DRIFT_SCHEMA: dict[str, Any] = {"enum": ["heal", "report", "ignore"]}
