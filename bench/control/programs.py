"""The eBPF programs of a gateway, from the package's objects into the kernel."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from bench.control.trial import Given, Meter, timed
from nvi_operator.kernel.bpf import flow_cache, objects

_WITHOUT_CACHE = ("device", "egress_guard", "ingress_guard")


@contextmanager
def _loading(*names: str) -> Iterator[Meter]:
    """Once before: what libbpf asks the kernel, what it can do, it asks once in a process."""

    def work() -> None:
        with ExitStack() as loaded:
            for name in names:
                loaded.enter_context(objects.load(name))

    work()
    yield Meter(timed(work))


@contextmanager
def load(_: Given) -> Iterator[Meter]:
    """The device and the guards."""
    with _loading(*_WITHOUT_CACHE) as meter:
        yield meter


@contextmanager
def load_with_cache(_: Given) -> Iterator[Meter]:
    with _loading(*_WITHOUT_CACHE, flow_cache.OBJECT) as meter:
        yield meter


@contextmanager
def load_all(_: Given) -> Iterator[Meter]:
    with _loading(*_WITHOUT_CACHE, flow_cache.OBJECT_WITH_CONNTRACK) as meter:
        yield meter
