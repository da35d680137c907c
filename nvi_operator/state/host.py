"""All owned objects on one host: the type of both the desired and the live state."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from types import MappingProxyType
from typing import NamedTuple, Protocol

from nvi_operator.dataclass import dataclass


class Object(Protocol):
    """A frozen dataclass with a key that is unique among its kind."""

    @property
    def key(self) -> str: ...


class Ref(NamedTuple):
    """Names one object: the kind's name, and the object's key.

    A tuple, because it is hashed some hundred times in a reconcile. A dataclass does that in Python, which took two
    thirds of the time until a lost element was back.
    """

    kind: str
    key: str

    def __str__(self) -> str:
        return f"{self.kind} {self.key}"


@dataclass(frozen=True)
class HostState:
    """Objects by reference. Two states are equal when they hold equal objects; order means nothing."""

    objects: Mapping[Ref, Object] = field(default_factory=lambda: MappingProxyType({}))

    @classmethod
    def of(cls, pairs: Iterable[tuple[str, Object]]) -> HostState:
        """Make it from (kind, object) pairs; of two with one key the later stays."""
        return cls(MappingProxyType({Ref(kind, obj.key): obj for kind, obj in pairs}))

    def plus(self, pairs: Iterable[tuple[str, Object]]) -> HostState:
        """The state with these (kind, object) pairs as well."""
        return HostState(MappingProxyType({**self.objects, **HostState.of(pairs).objects}))

    def with_kind(self, kind: str, objects: Iterable[Object]) -> HostState:
        """The state with these objects in place of all of their kind."""
        others = {ref: obj for ref, obj in self.objects.items() if ref.kind != kind}
        return HostState(MappingProxyType({**others, **{Ref(kind, obj.key): obj for obj in objects}}))

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, HostState) and dict(self.objects) == dict(other.objects))

    def __hash__(self) -> int:
        return hash(frozenset(self.objects.items()))

    def __len__(self) -> int:
        return len(self.objects)

    def __iter__(self) -> Iterator[tuple[Ref, Object]]:
        return iter(sorted(self.objects.items(), key=lambda item: item[0]))

    def of_kind(self, kind: str) -> list[Object]:
        """The objects of one kind, by key."""
        return [obj for ref, obj in self if ref.kind == kind]
