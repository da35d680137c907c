"""Checks: what has to work after a change that worked before it, or the change is given up."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Self

from pydantic import Field, WithJsonSchema, model_validator

from nvi_operator.language.model.base import Entry
from nvi_operator.language.model.fields import Maybe, Name, SpecAddress, as_tuple
from nvi_operator.language.model.health import QUESTIONS, Probe
from nvi_operator.language.model.validators import BeforeValidator
from nvi_operator.language.model.values import as_text
from nvi_operator.language.wording import HintedError, shown
from nvi_operator.pattern import pattern

_FILE_NAME = pattern(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")  # of a program, or below /run/netns


def _command(value: Any) -> Any:
    words = tuple(as_text(word, "a word of a command") for word in as_tuple(value))
    if not _FILE_NAME.fullmatch(words[0]):
        hint = "write its name in /etc/nvi-operator/checks alone; further words are its arguments"
        raise HintedError(f"{shown(words[0])} is not the name of a program there", hint)
    if any("\0" in word for word in words):
        raise ValueError("a word has a NUL in it")
    return words


def _netns(value: Any) -> Any:
    text = as_text(value, "the name of a network namespace")
    if not _FILE_NAME.fullmatch(text):
        raise ValueError(f"{shown(text)} is not a name that `ip netns` has")
    return text


Command = Annotated[
    tuple[str, ...],
    BeforeValidator(_command),
    WithJsonSchema(
        {"type": "array", "items": {"type": "string"}, "minItems": 1, "examples": [["reach-portal", "-4"]]}
    ),
]
NetnsName = Annotated[str, BeforeValidator(_netns), WithJsonSchema({"type": "string"})]


class Check(Entry, Probe):  # pydantic takes the fields of the last base first
    """Something that has to work. A change after which a check fails that worked before it is given up."""

    means: ClassVar[tuple[str, ...]] = (*QUESTIONS, "command")

    command: Maybe[Command] = Field(
        None,
        description="A program in /etc/nvi-operator/checks, by its name, and its arguments. It works if it exits "
        "with 0. It runs as root and without a shell; a spec can start no other program.",
    )
    uplink: Maybe[Name] = Field(None, description="The uplink that the question leaves by.")
    from_: Maybe[SpecAddress] = Field(
        None, alias="from", description="The gateway's own address that asks, such as one of an inside interface."
    )
    netns: Maybe[NetnsName] = Field(
        None, description="The network namespace that asks (ip-netns(8)), such as that of a host inside."
    )
    within: float = Field(5.0, ge=0.1, le=60, description="Seconds for an answer. Probes ask again each second.")

    @model_validator(mode="after")
    def _asks_from_one_place(self) -> Self:
        if self.command and (self.uplink or self.from_):
            raise ValueError("uplink and from are for questions; a command decides by itself how it asks")
        if self.uplink and (self.from_ or self.netns):
            raise ValueError("uplink excludes from and netns: it says who asks as well")
        if self.from_ and self.from_.version != self.address.version:
            raise ValueError(f"from {self.from_} and {self.address} are of two families")
        return self


def together(spec: Mapping[str, Check], operator: Mapping[str, Check]) -> dict[str, Check]:
    """The checks of a gateway's spec, and those of the Operator document, which may have the same names."""
    return {**spec, **{f"{name} (operator)" if name in spec else name: check for name, check in operator.items()}}
