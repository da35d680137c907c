"""What is run in a guest, by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

PYTEST = ("python3", "-m", "pytest", "--color=no", "-p", "tests.vm.plugin")


@dataclass(frozen=True)
class Suite:
    """`at_once`: the guest's CPUs run at once, for races. `debug`: with the kernel's own checks of memory. `output`:
    what it prints is what it is for.

    `icount`: the guest's clock counts instructions, one a nanosecond, on one CPU. So what is measured there does not
    depend on the load of the machine.
    `parameters`: of the kernel, besides. `systemd`: it boots the guest, as a gateway (tests/systemd/boot.sh).
    `then`: what it does in a second boot. A gateway's spec and state are on a disk in both.
    """

    argv: tuple[str, ...]
    timeout: float  # seconds, on a busy machine
    debug: bool
    output: bool = False
    icount: bool = False
    at_once: bool = False
    parameters: tuple[str, ...] = ()
    systemd: bool = False
    then: tuple[str, ...] = ()


def _netns(*names: str) -> tuple[str, ...]:
    return tuple(f"tests/netns/test_{name}.py" for name in names)


def _ignored(files: Iterable[str]) -> tuple[str, ...]:
    return tuple(f"--ignore={file}" for file in files)


def _only(file: str, *tests: str) -> tuple[str, ...]:
    return tuple(f"{file}::test_{test}" for test in tests)


def _enforced(parameter: str) -> Suite:
    """A kernel that takes no module without a signature that it knows."""
    return Suite((*PYTEST, "tests/signed_modules"), 900, debug=False, parameters=(parameter,))


_JOURNAL = ("systemd.journald.forward_to_console=1", "systemd.show_status=false")  # on the console that is kept

_SCENARIOS = ("examples", "nat", "cisco", "icmp", "dynamic", "fail_closed", "hostile", "namespaces", "doctor")

# For every change, so three minutes on an emulated CPU at most: each thing that only a real kernel can say about the
# module, once. The module's other interfaces, floods and ways to be refused are in `module`, the other examples and
# dataplane forms in `scenarios`; for every change tests/netns runs the operator itself with the eBPF program.
#
# What takes long in a guest is to start Python (10 s and more) and to make a laboratory (5 s), not packets. That the
# kernel loads the module on demand shows when pytest asks for a device of its kind (tests/lab/dataplanes.py).
_HEART = (
    "tests/kmod/test_attributes.py",
    *_only(
        "tests/kmod/test_packets.py",
        "statistics_add_up",
        "a_number_of_another_namespace_is_no_device",
        "a_full_backlog_is_counted",
        "an_ipv6_datagram_in_fragments_arrives",
        "an_established_flow_takes_the_flowtable",
    ),
    *_only(
        "tests/kmod/test_flow_cache.py",
        "both_directions_of_a_flow_take_the_fast_path",
        "a_stream_takes_the_fast_path_and_ends_in_time_wait",
        "entries_and_traffic_are_told",
        "a_foreign_drop_rule_acts_within_the_interval_and_at_once_when_it_is_told",
        "routes_and_neighbours_act_at_once",
        "a_connection_that_is_deleted_is_translated_again",
    ),
    *_only("tests/kmod/test_flow_cache_lifetime.py", "the_module_is_unloaded_while_packets_take_the_fast_path"),
    *_only("tests/kmod/test_in_interfaces.py", "packets_that_come_in_by[kmod-mark-gre]"),
    *_only("tests/kmod/test_lifetime.py", "the_module_is_unloaded_under_flood"),
    *_only("tests/netns/test_examples.py", "dual_wan[dual-wan]"),
    *_only(
        "tests/netns/test_nat.py",
        "a_flow_leaves_by_the_uplink_that_owns_its_translated_source[kmod-mark-tcp]",
        "a_dnated_servers_reply_leaves_by_the_uplink_that_was_asked[kmod-skb_iif-udp]",
        "both_passes_are_counted_and_untracked_in_the_second[kmod-mark]",
    ),
)

# Apart, because only these need two CPUs at once, which the emulator now and then cannot do (`machine._AT_ONCE`): the
# fewer minutes the better.
_RACES = ("tests/kmod/test_lifetime.py", "tests/kmod/test_flow_cache_lifetime.py")

SUITES: Mapping[str, Suite] = MappingProxyType(
    {
        # The module by itself, beside the eBPF program where they owe the same.
        "module": Suite((*PYTEST, *_ignored(_RACES), "tests/kmod", "tests/dataplane"), 7200, debug=True),
        # Interfaces, namespaces and the module itself deleted under floods.
        "races": Suite((*PYTEST, *_RACES), 2400, debug=True, at_once=True),
        # The operator as a service, beside systemd-networkd.
        "systemd": Suite((*PYTEST, "tests/systemd"), 3600, debug=False, parameters=_JOURNAL, systemd=True),
        # Between two boots the power is lost.
        "reboot": Suite(
            (*PYTEST, "tests/reboot/test_before.py"),
            1800,
            debug=False,
            parameters=_JOURNAL,
            systemd=True,
            then=(*PYTEST, "tests/reboot/test_after.py"),
        ),
        # The operator with either dataplane: the same expectations.
        "scenarios": Suite(
            (*PYTEST, "--flow-cache", "both", "tests/ipsec", *_netns(*_SCENARIOS)), 21600, debug=False
        ),
        "sig_enforce": _enforced("module.sig_enforce=1"),
        "lockdown": _enforced("lockdown=integrity"),
        "quick": Suite((*PYTEST, "--flow-cache", "both", *_HEART), 900, debug=True),
    }
)
