"""A gateway with its flow cache on: what is kept in the kernel, and that established flows take the short way."""

from __future__ import annotations

import json
import os
import socket

import pytest

from nvi_operator.kernel.bpf import flow_cache as layout
from nvi_operator.kernel.bpf import objects, syscall, tcx
from nvi_operator.kernel.bpf.egress import EGRESS
from nvi_operator.kernel.kernel import Kernel
from nvi_operator.kernel.netns import entered
from nvi_operator.language.model.settings import Numbers
from nvi_operator.state.host import HostState
from tests.lab import GatewayHost, Host, Site
from tests.lab.net import until
from tests.netns.operator import Operator
from tests.netns.scenarios import A, spec

pytestmark = pytest.mark.netns

ON = "{ type: bpf, flowCache: auto }"
OFF = "{ type: bpf }"


def programs(host: Host) -> dict[str, int]:
    """How many tcx programs each interface has, at both hooks."""

    def count() -> dict[str, int]:
        return {
            name: sum(len(tcx.programs(number, hook).programs) for hook in ("ingress", "egress"))
            for number, name in socket.if_nameindex()
            if name != "lo"
        }

    return host.call(count)


def at_each(host: Host) -> set[int]:
    """The same, of the interfaces of the spec: 2 are the guards, 4 the guards and the cache."""
    found = programs(host)
    return {found[ifname] for ifname in ("lan0", "wan0", "wan1")}


def cache(gateway: GatewayHost) -> dict[str, int]:
    """The counters of the flow cache."""
    counters = json.loads(gateway.nvictl("status", "-o", "json", check=False).stdout)["counters"]
    return counters.get("flow cache", {})


def test_it_comes_and_goes_with_the_setting(site: Site, gateway: GatewayHost) -> None:
    before = gateway.foreign()
    gateway.apply(spec(OFF))
    assert at_each(site.gateway) == {2}
    gateway.apply(spec(ON))
    assert gateway.differences(spec(ON)) == []
    assert at_each(site.gateway) == {4}
    gateway.apply(spec(OFF))
    assert at_each(site.gateway) == {2}
    gateway.apply(spec(ON))
    gateway.down()
    assert not any(programs(site.gateway).values())
    assert gateway.owned() == []
    assert gateway.foreign() == before


def test_an_established_flow_takes_the_fast_path(site: Site, gateway: GatewayHost) -> None:
    gateway.apply(spec(ON))
    site.far.serve(443)
    with site.client.connect(site.far.address, 443) as flow:
        for _ in range(40):
            flow.again()
        assert flow.seen == A
    assert cache(gateway)["fast"] > 40


def test_cached_packets_pass_the_guard_of_their_uplink(site: Site, gateway: GatewayHost) -> None:
    gateway.apply(spec(ON))
    site.far.serve(443)
    with site.client.connect(site.far.address, 443) as flow:
        for _ in range(40):
            flow.again()
        site.gateway.call(_guard_without_own_sources, "wan0")
        before = gateway.counters()
        with pytest.raises(OSError):
            flow.again()
    after = gateway.counters()
    assert after["fast"] > before["fast"]
    assert after["egress_foreign"] > before["egress_foreign"]
    assert gateway.differences(spec(ON)) == ["update egress-guard wan0 egress"]


def _guard_without_own_sources(ifname: str) -> None:
    """In place of the guard one with an empty map."""
    ifindex = socket.if_nametoindex(ifname)
    listing = tcx.programs(ifindex, "egress")
    for number in listing.programs:
        fd = syscall.program_fd(number)
        if syscall.program_info(fd).name == EGRESS.program:
            with objects.load(EGRESS.object, constants=EGRESS.constants(1 << 31)) as loaded:
                tcx.replace(ifindex, "egress", loaded.programs[EGRESS.program], fd, listing.revision)
        os.close(fd)


def test_doctor_does_not_mind_the_gateways_own_programs(site: Site, gateway: GatewayHost) -> None:
    gateway.apply(spec(ON))
    found = gateway.nvictl("doctor", gateway.spec(spec(ON)), check=False).stdout
    assert "tcx" not in found


def test_the_largest_flows_are_shown_before_and_after_translation(site: Site, gateway: GatewayHost) -> None:
    gateway.apply(spec(ON))
    site.far.serve(443)
    with site.client.connect(site.far.address, 443) as small, site.client.connect(site.far.address6, 443) as large:
        for _ in range(40):
            small.again()
        for _ in range(40):
            large.again(b"x" * 1000)
        shown = json.loads(gateway.nvictl("show", "flows", "--top", "3", "-o", "json").stdout)
        assert shown["total"] == 4, "two directions of each"
        assert [flow["protocol"] for flow in shown["flows"]] == ["tcp"] * 3
        first = shown["flows"][0]
        assert (first["in"], first["out"]) == ("lan0", "wan0")
        assert first["translated"]["source"] == large.seen
        assert first["translated"]["sourcePort"] == large.seen_port
        assert first["bytes"] > 30_000
    text = gateway.nvictl("status").stdout
    assert "skipped both passes" in text
    assert "flow cache, lan0 to wan0" in text


def test_another_size_takes_the_place_of_the_old_without_a_gap_and_counters_go_on(
    site: Site, gateway: GatewayHost
) -> None:
    gateway.apply(spec(ON))
    site.far.serve(443)
    with site.client.connect(site.far.address, 443) as flow:
        for _ in range(40):
            flow.again()
        before = cache(gateway)
        for entries in ("2048", "4096"):
            changed = spec(ON.replace(" }", f", flowCacheEntries: {entries} }}"))
            gateway.apply(changed)
            assert gateway.differences(changed) == []
            flow.again()
        assert cache(gateway)["fast"] >= before["fast"]
        for _ in range(40):
            flow.again()
        assert cache(gateway)["fast"] > before["fast"] + 40
    assert site.leaks() == 0


def test_programs_of_another_version_are_replaced_and_two_are_never_left(site: Site, gateway: GatewayHost) -> None:
    """Half of them: an apply that was killed while it replaced them."""
    gateway.apply(spec(ON))
    site.gateway.call(_attach_another_build, "wan0")
    assert gateway.differences(spec(ON)) == ["update flow-cache wan0 egress"]
    gateway.apply(spec(ON))
    assert gateway.differences(spec(ON)) == []
    assert programs(site.gateway)["wan0"] == 4
    site.gateway.call(_attach_another_build, "lan0")
    gateway.down()
    assert not any(programs(site.gateway).values())


def _attach_another_build(ifname: str) -> None:
    """In place of the egress program one with maps of its own, and another hash of its sources."""
    ifindex = socket.if_nametoindex(ifname)
    listing = tcx.programs(ifindex, "egress")
    previous = syscall.program_fd(listing.programs[0])
    with objects.load(layout.OBJECT, constants={objects.BUILD: 1}) as loaded:
        tcx.replace(ifindex, "egress", loaded.programs[layout.OUT], previous, listing.revision)


def test_a_rule_that_counts_packets_switches_it_off_and_its_removal_on_again(
    site: Site, gateway: GatewayHost
) -> None:
    gateway.apply(spec(ON))
    site.gateway.nft("table inet guard {\nchain forward {\ntype filter hook forward priority 0\ncounter\n}\n}\n")
    plan = gateway.nvictl("plan", gateway.spec(spec(ON)))
    assert "flow cache: off: rule inet guard forward" in plan.stderr
    gateway.apply(spec(ON))
    assert at_each(site.gateway) == {2}
    site.gateway.run("nft", "delete", "table", "inet", "guard")
    gateway.apply(spec(ON))
    assert at_each(site.gateway) == {4}


def test_where_the_kernel_has_no_tcx_its_programs_are_filters_of_clsact(
    site: Site, gateway: GatewayHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = gateway.foreign()
    monkeypatch.setattr(tcx, "available", lambda: False)
    operator = Operator(site)
    operator.apply(spec(ON))
    shown = site.gateway.run("tc", "filter", "show", "dev", "lan0", "ingress").stdout
    assert shown.index(layout.IN) < shown.index("nvi_ingress"), "before the guard"
    site.far.serve(443)
    with site.client.connect(site.far.address, 443) as flow:
        for _ in range(40):
            flow.again()
    with entered(site.gateway.netns), Kernel(Numbers()) as kernel:
        assert kernel.counters(HostState())["flow cache"]["fast"] > 40
    operator.apply(None)
    assert gateway.owned() == []
    assert gateway.foreign() == before


def test_filters_of_an_older_kernels_gateway_move_to_tcx_with_their_flows(
    site: Site, gateway: GatewayHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As nvictl left them that did not know tcx yet."""
    monkeypatch.setattr(tcx, "available", lambda: False)
    Operator(site).apply(spec(ON))
    monkeypatch.undo()
    site.far.serve(443)
    with site.client.connect(site.far.address, 443) as flow:
        for _ in range(40):
            flow.again()
        before = cache(gateway)["fast"]
        assert "update flow-cache lan0 ingress" in gateway.differences(spec(ON))
        gateway.apply(spec(ON))
        assert gateway.differences(spec(ON)) == []
        for _ in range(40):
            flow.again()
        assert cache(gateway)["fast"] > before + 70
    assert "bpf" not in site.gateway.run("tc", "filter", "show", "dev", "lan0", "ingress").stdout
    assert_order(site)


@pytest.mark.parametrize("hook", ["ingress", "egress"])
def test_a_guard_that_is_put_back_stands_behind_the_cache_and_one_before_it_is_drift(
    site: Site, gateway: GatewayHost, hook: tcx.Hook
) -> None:
    gateway.apply(spec(ON))
    site.gateway.call(_move_guard, "wan0", hook, None)
    assert gateway.differences(spec(ON)) == [f"create {hook}-guard wan0 {hook}"]
    gateway.apply(spec(ON))
    assert_order(site)
    site.gateway.call(_move_guard, "wan0", hook, "first")
    assert gateway.differences(spec(ON)) == [f"update {hook}-guard wan0 {hook}"]
    gateway.apply(spec(ON))
    assert_order(site)
    assert programs(site.gateway)["wan0"] == 4
    gateway.down()
    assert not any(programs(site.gateway).values())


def assert_order(site: Site) -> None:
    """The caches of every interface before its guards."""

    def names(ifname: str, hook: tcx.Hook) -> list[str]:
        listing = tcx.programs(socket.if_nametoindex(ifname), hook)
        return [syscall.program_info(syscall.program_fd(number)).name for number in listing.programs]

    for ifname in ("lan0", "wan0", "wan1"):
        assert site.gateway.call(names, ifname, "ingress") == [layout.IN, "nvi_ingress"]
        assert site.gateway.call(names, ifname, "egress") == [layout.OUT, "nvi_egress"]


def _move_guard(ifname: str, hook: tcx.Hook, order: tcx.Order | None) -> None:
    """To another place among the programs; None: away."""
    ifindex = socket.if_nametoindex(ifname)
    listing = tcx.programs(ifindex, hook)
    fd = next(
        fd for fd in map(syscall.program_fd, listing.programs) if syscall.program_info(fd).name == f"nvi_{hook}"
    )
    tcx.detach(ifindex, hook, fd, listing.revision)
    if order is not None:
        tcx.attach(ifindex, hook, fd, order, tcx.programs(ifindex, hook).revision)


def test_entries_that_give_way_and_those_that_end_are_told_apart(site: Site, gateway: GatewayHost) -> None:
    gateway.apply(spec(ON))
    site.far.serve(443)
    with site.client.connect(site.far.address, 443) as flow:
        for _ in range(40):
            flow.again()
        learned = cache(gateway)
        assert (learned["learned"], learned["entries_ipv4"], learned["ended"]) == (2, 2, 0)
    until(lambda: cache(gateway)["ended"] == 2, "its FIN ended both directions")
    assert cache(gateway)["evicted"] == 0
    with site.client.connect(site.far.address, 443) as flow:
        for _ in range(40):
            flow.again()
        before = cache(gateway)
        gateway.apply(spec(ON.replace(" }", ", flowCacheEntries: 2048 }")))
        assert cache(gateway)["evicted"] == before["entries_ipv4"] >= 2, "with the larger maps"
