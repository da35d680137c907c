"""What is run in a guest, by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

PYTEST = ("python3", "-m", "pytest", "--color=no", "-p", "tests.vm.plugin")


@dataclass(frozen=True)
class Suite:
    """`at_once`: the guest's CPUs run at once, for races. `debug`: with the kernel's own checks of memory. `output`:
    what it prints is what it is for.

    `icount`: the guest's clock counts instructions, one a nanosecond, on one CPU. So what is measured there does not
    depend on what else the machine does.
    `parameters`: of the kernel, besides.
    """

    argv: tuple[str, ...]
    timeout: float  # seconds, on a busy machine
    debug: bool
    output: bool = False
    icount: bool = False
    at_once: bool = False
    parameters: tuple[str, ...] = ()


def _netns(*names: str) -> tuple[str, ...]:
    return tuple(f"tests/netns/test_{name}.py" for name in names)


def _enforced(parameter: str) -> Suite:
    """A kernel that takes no module without a signature that it knows."""
    return Suite((*PYTEST, "tests/signed_modules"), 900, debug=False, parameters=(parameter,))


_SCENARIOS = ("examples", "nat", "cisco", "icmp", "dynamic", "fail_closed", "hostile", "namespaces", "doctor")

_HEART = (
    "test_a_flow_leaves_by_the_uplink_that_owns_its_translated_source",
    "test_a_dnated_servers_reply_leaves_by_the_uplink_that_was_asked",
    "test_both_passes_are_counted_and_untracked_in_the_second",
)

SUITES: Mapping[str, Suite] = MappingProxyType(
    {
        # The module by itself, beside the eBPF program where they owe the same.
        "module": Suite((*PYTEST, "tests/kmod", "tests/dataplane"), 2400, debug=True, at_once=True),
        # The operator with either dataplane: the same expectations.
        "scenarios": Suite((*PYTEST, "tests/ipsec", *_netns(*_SCENARIOS)), 14400, debug=False),
        "sig_enforce": _enforced("module.sig_enforce=1"),
        "lockdown": _enforced("lockdown=integrity"),
        # The heart of both, for every change: only what the module takes part in.
        "quick": Suite(
            (
                *PYTEST,
                "-k",
                "not bpf",
                "tests/kmod",
                *_netns("examples"),
                *(f"{_netns('nat')[0]}::{t}" for t in _HEART),
            ),
            1200,
            debug=True,
        ),
    }
)
