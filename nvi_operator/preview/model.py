"""What `nvictl preview` tells, as data."""

from __future__ import annotations

from nvi_operator.dataclass import dataclass
from nvi_operator.errors import NviError
from nvi_operator.language.model.gateway import GatewaySpec
from nvi_operator.plan.change import Plan
from nvi_operator.preview.classes import FlowChange
from nvi_operator.preview.ways import WayChange
from nvi_operator.topology.model import Topology


@dataclass(frozen=True)
class GatewayChange:
    """One gateway that differs. Without `before` it is new, without a topology in the plan it is removed.

    `directory` holds its spec; where it moved there, `moved` is where it was. `spec` is the one after, or the last.
    """

    name: str
    directory: str
    spec: GatewaySpec
    plan: Plan
    before: Topology | None
    moved: str = ""
    flows: tuple[FlowChange, ...] = ()
    ways: tuple[WayChange, ...] = ()  # of the first flows, where they are asked for

    @property
    def word(self) -> str:
        return "new" if self.before is None else "removed" if self.plan.topology is None else "changed"


@dataclass(frozen=True)
class RefusedPreview:
    """What cannot be previewed: a directory, or one gateway in it, and why. `is_base`: on the side before."""

    directory: str
    error: NviError
    gateway: str = ""
    is_base: bool = False


@dataclass(frozen=True)
class Preview:
    """What a change from `base` to `head` means. `same`: gateways whose files differ, and that mean the same."""

    base: str
    head: str
    changes: tuple[GatewayChange, ...]
    refused: tuple[RefusedPreview, ...]
    same: tuple[str, ...]

    @property
    def is_wrong(self) -> bool:
        """Is anything wrong with what would be in force?"""
        return any(not refused.is_base for refused in self.refused)
