"""Settings of the gateway itself: dataplane, numbers, guards. The defaults suit nearly everyone."""

from typing import Literal, Self

from pydantic import Field, model_validator

from nvi_operator.language.model.base import Model
from nvi_operator.language.model.fields import IfName


class Dataplane(Model):
    """How a packet gets its second pass. The defaults suit nearly everyone."""

    type: Literal["auto", "kmod", "bpf"] = Field(
        "auto", description="kmod: the nvi kernel module; bpf: eBPF; auto: the module where it can be had."
    )
    device: IfName = Field("nvi0", description="Name of the NAT virtual interface.")
    in_interface: Literal["auto", "mark", "skb_iif"] = Field(
        "auto",
        description="How the device learns where a packet came in: from the packet mark that the mark hook "
        "wrote, or from the kernel's own record. auto: mark, unless the spec needs the other.",
    )
    stage_bit: int = Field(
        31,
        ge=16,
        le=31,
        description="The bit of the packet mark that means 'stage 2'. Change it if something else uses it.",
    )
    local_bit: int = Field(
        30,
        ge=16,
        le=31,
        description="The bit of the packet mark for the gateway's own ICMP errors about NATed flows.",
    )
    keep_marks: bool = Field(
        False, description="Let marks set by others in stage 1 survive into stage 2 (implies skb_iif)."
    )
    hide_hop: bool = Field(
        False,
        description="Give back the TTL that the second pass costs, so that traceroute shows the gateway once.",
    )
    ipsec: bool = Field(
        False,
        description="Set it where IPsec policies end on this gateway: what they decrypt for inside networks takes "
        "one pass, without NAT. On a second one the policies would refuse it, because the kernel no longer knows "
        "that it was encrypted.",
    )
    flow_cache: Literal["off", "auto"] = Field(
        "off",
        description="Do established flows skip both passes? auto: where nothing is lost by it; `plan`, `status` and "
        "`doctor` say where not, and why. off: every packet takes both passes.",
    )
    flow_cache_entries: int = Field(
        65536,
        ge=1024,
        le=4194304,
        description="How many directions of flows of each family the flow cache holds, two for each flow; memory is "
        "taken for all of them, 152 bytes each for IPv4, 200 for IPv6. The least used ones give way.",
    )

    @model_validator(mode="after")
    def _bits_differ(self) -> Self:
        if self.stage_bit == self.local_bit:
            raise ValueError(f"stageBit and localBit are both {self.stage_bit}: they must differ")
        if self.keep_marks and self.in_interface == "mark":
            raise ValueError("keepMarks needs the mark for others: inInterface cannot be mark")
        return self


class Numbers(Model):
    """Numbers that the kernel needs; change one only where it collides with other software."""

    rule_priority: int = Field(
        1000,
        ge=1,
        le=31000,
        description="First of the 1000 FIB rule priorities that the gateway uses; one more is 32767 behind it.",
    )
    table: int = Field(7800, ge=256, le=2**30, description="First routing table number; uplinks follow it.")
    protocol: int = Field(
        78, ge=5, le=255, description="Protocol number of the routes and rules that the gateway owns."
    )
    link_group: int = Field(78, ge=1, le=2**31 - 2, description="Link group of the uplinks; the next one is nvi's.")


class Guards(Model):
    """Protection against spoofed source addresses."""

    anti_spoof: Literal["local", "strict", "off"] = Field(
        "local",
        description="local: drop what claims one of the gateway's own addresses, or one that is routed to it. "
        "strict: also what would not be answered through the interface it came in by. off: neither.",
    )
