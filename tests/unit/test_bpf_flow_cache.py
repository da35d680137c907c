"""The flow cache's maps as bytes: what Python reads is what the programs write."""

from __future__ import annotations

import re
import struct
from ipaddress import ip_address

import pytest

from nvi_operator.kernel.bpf import compile as compiler
from nvi_operator.kernel.bpf import flow_cache
from nvi_operator.kernel.bpf.flow_cache import Traffic
from nvi_operator.state.flow import FlowTuple
from tests.dataplane.flow_cache import flow_key, next_generation

HEADER = (compiler.PROGRAMS / "flow_cache.bpf.h").read_text()


def test_reasons_are_those_of_the_programs_in_their_order() -> None:
    body = HEADER.partition("enum reason {")[2].partition("}")[0]
    *names, last = re.findall(r"^\t([A-Z_]+),", body, re.MULTILINE)
    assert tuple(name.lower() for name in names) == flow_cache.REASONS
    assert last == "REASONS"


def test_an_interface_has_a_generation_beside_that_of_the_gateway() -> None:
    assert flow_cache.generation_key() == struct.pack("=I", 0)
    assert flow_cache.generation_key(7) == struct.pack("=I", 8)
    assert flow_cache.generation_key(256 + 7) == flow_cache.generation_key(7)
    assert next_generation(struct.pack("=I", 0xFFFFFFFF)) == bytes(4)


@pytest.mark.parametrize(("cpus", "slots"), [(1, 4096), (2, 2048), (3, 1024), (4, 1024), (64, 64), (4096, 8)])
def test_cpus_share_the_slots(cpus: int, slots: int) -> None:
    assert flow_cache.cpu_slots(cpus) == slots


@pytest.mark.parametrize(("entries", "doors"), [(1, 2), (1024, 2048), (1025, 4096), (1 << 22, 1 << 23)])
def test_there_are_two_doors_for_each_entry(entries: int, doors: int) -> None:
    assert flow_cache.doors(entries) == doors


def test_an_element_of_ipv4_fills_two_cache_lines() -> None:
    """48 bytes of it are the kernel's: struct htab_elem."""
    assert 48 + flow_cache.KEY_SIZE[4] + flow_cache.ENTRY_SIZE[4] == 2 * 64


@pytest.mark.parametrize("pair", [("192.0.2.1", "198.51.100.7"), ("2001:db8::1", "2001:db8::2")])
def test_a_key_is_read_as_it_was_written(pair: tuple[str, str]) -> None:
    original = FlowTuple(ip_address(pair[0]), 1024, ip_address(pair[1]), 53)
    key = flow_key("udp", 300, original)
    family = original.source.version
    assert len(key) == flow_cache.KEY_SIZE[4 if family == 4 else 6]
    flow = flow_cache.parse_flow(key, bytes(flow_cache.ENTRY_SIZE[4 if family == 4 else 6]))
    assert (flow.protocol, flow.iif, flow.original) == ("udp", 300, original)


def test_counters_are_summed_over_the_cpus() -> None:
    assert flow_cache.parse_counter(struct.pack("=3Q", 1, 2, 3)) == 6
    assert flow_cache.parse_total(struct.pack("=4Q", 1, 100, 2, 200)) == Traffic(3, 300)
    assert flow_cache.parse_way(struct.pack("=Q", 3 << 32 | 2)) == (3, 2)
    assert flow_cache.parse_way(bytes(8)) is None
