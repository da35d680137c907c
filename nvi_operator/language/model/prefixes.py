"""Prefixes that an ISP delegates to this gateway (DHCPv6-PD), and prefix NAT to those of several uplinks."""

from typing import Annotated, Any, Self

from pydantic import Field, ValidationError, WithJsonSchema, model_validator

from nvi_operator.language.model.base import Entry, Model, fields_of
from nvi_operator.language.model.fields import Name, SpecNetwork, as_tuple
from nvi_operator.language.model.validators import BeforeValidator, Later, PlainSerializer, PlainValidator
from nvi_operator.language.model.values import Network, check_hosts, parse_network
from nvi_operator.language.wording import HintedError, nearest, shown

LENGTH_OF_NETWORK = 64  # of one that hosts choose their addresses in (RFC 4291, section 2.5.1)


class SubPrefix(Model):
    """A part of what an ISP delegates now, as in `{from: isp-a, subnet: 3}`: it follows another delegation."""

    from_: Name = Field(alias="from", description="The uplink; it has `delegated`.")
    subnet: int = Field(0, ge=0, lt=1 << 32, description="Which one, counted from 0.")
    length: int | None = Field(
        None, ge=16, le=128, description="Of the part. Left out: 64; of a prefixNat that of its address."
    )

    def __str__(self) -> str:
        return f"subnet {self.subnet} of {self.from_}"


def _several(value: Any) -> Any:
    return as_tuple(value)


SubPrefixes = Annotated[tuple[Later[SubPrefix], ...], BeforeValidator(_several)]


def _parse_mapped(value: Any) -> tuple[SubPrefix | Network, ...]:
    return tuple(_parse_part(item) if isinstance(item, dict) else _parse_item(item) for item in as_tuple(value))


def _parse_item(item: Any) -> SubPrefix | Network:
    return item if isinstance(item, SubPrefix) else parse_network(item)


def _parse_part(item: dict[Any, Any]) -> SubPrefix:
    """Here and not by pydantic, which would tell of each form that it is not."""
    known = sorted(fields_of(SubPrefix))
    for name in item:
        if name not in known:
            close = nearest(str(name), known)
            hint = f"did you mean {close!r}?" if close else f"there are: {', '.join(known)}"
            raise HintedError(f"there is no field {shown(name)}", hint)
    if "from" not in item:
        raise HintedError("a part of a delegated prefix names no uplink", "write it as in {from: isp-a, subnet: 1}")
    try:
        return SubPrefix.model_validate(item)
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"{first['loc'][0]}: {first['msg'].removeprefix('Value error, ')}") from error


def _write_mapped(values: tuple[SubPrefix | Network, ...]) -> list[Any]:
    return [item.model_dump(exclude_none=True) if isinstance(item, SubPrefix) else str(item) for item in values]


_MAPPED_ITEM: dict[str, Any] = {
    "anyOf": [
        {"type": "string", "examples": ["2001:db8:a:1::/64"]},
        {
            "type": "object",
            "properties": {"from": {"type": "string"}, "subnet": {"type": "integer"}, "length": {"type": "integer"}},
            "required": ["from"],
            "additionalProperties": False,
        },
    ]
}
Mapped = Annotated[
    tuple[SubPrefix | Network, ...],
    PlainValidator(_parse_mapped),
    PlainSerializer(_write_mapped),
    WithJsonSchema({"anyOf": [_MAPPED_ITEM, {"type": "array", "items": _MAPPED_ITEM, "minItems": 1}]}),
]


class PrefixNat(Entry):
    """One inside IPv6 prefix, known by a prefix of each of several uplinks (NPTv6).

    New flows of the inside take the first uplink that works; by each of the prefixes hosts are reached. Host parts
    stay as they are.
    """

    address: SpecNetwork = Field(description="The inside prefix.")
    as_: Mapped = Field(
        alias="as",
        description="What it is known as, of the same length, the preferred one first: prefixes of uplinks, or parts "
        "of what their ISPs delegate, as in `[{from: isp-a, subnet: 1}, {from: isp-b, subnet: 1}]`.",
    )

    @model_validator(mode="after")
    def _lengths(self) -> Self:
        if self.address.version != 6:
            raise HintedError(f"{self.address} is IPv4", "prefixNat is of IPv6 prefixes; sourceNat translates IPv4")
        check_hosts(self.address, "address")
        for item in self.as_:
            if isinstance(item, SubPrefix):
                if item.length not in (None, self.address.prefixlen):
                    raise ValueError(
                        f"{item} is a /{item.length}, and {self.address} is none: they are of one length"
                    )
            elif item.version != 6 or item.prefixlen != self.address.prefixlen:
                raise ValueError(f"{item} and {self.address} differ in size: they are of one length")
        return self
