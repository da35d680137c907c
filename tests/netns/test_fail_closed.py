"""No packet leaves an uplink untranslated, whatever is lost: after every single step of every change."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from nvi_operator.errors import KernelError
from nvi_operator.kernel.drivers.nft_table import NftTableDriver
from nvi_operator.kernel.kernel import Kernel
from nvi_operator.kernel.netns import entered
from nvi_operator.language.load.loader import load_texts
from nvi_operator.nft.batches import MANY
from nvi_operator.plan.change import Change
from nvi_operator.reconcile.compiler import Compiler
from nvi_operator.reconcile.cycle import reconcile
from nvi_operator.testing import Killed
from tests.examples import ALL
from tests.lab import GatewayHost, Site
from tests.lab.net import until
from tests.lab.probe import Prober
from tests.netns.operator import Operator, Step
from tests.netns.scenarios import A, B, spec

pytestmark = pytest.mark.netns


@pytest.fixture
def operator(site: Site) -> Operator:
    return Operator(site)


def test_after_every_step_of_the_first_apply_of_a_change_and_of_down(
    site: Site, operator: Operator, prober: Prober, dataplane: str
) -> None:
    def probe(change: Change) -> None:
        prober.send()

    steps = operator.apply(spec(dataplane), probe)
    prober.send()
    assert steps > 45
    assert site.leaks() == 0
    changed = spec("{ type: bpf, inInterface: skb_iif, hideHop: true }").replace("as: isp-a", "as: [203.0.113.17]")
    changed = changed.replace("192.168.1.0/24,", "192.168.0.0/16,").replace(
        '"fd00:1::80"]\n      as', '"fd00:1::81"]\n      as'
    )
    assert operator.apply(changed, probe) > 5
    assert site.leaks() == 0
    assert operator.apply(None, probe) > 45
    prober.send()
    assert site.leaks() == 0


def test_a_flow_goes_on_through_every_step_of_a_change(site: Site, operator: Operator, dataplane: str) -> None:
    operator.apply(spec(dataplane))
    site.far.serve(443)
    site.server.serve(443)
    flows = [
        site.client.connect(site.far.address, 443),
        site.client.connect(site.far.address6, 443),
        site.far.connect(A, 443),
        site.far.connect(B, 443),
    ]
    changed = (
        spec(dataplane)
        .replace("as: isp-a", "as: isp-b")
        .replace("ports: [443/tcp, 443/udp]", "ports: [443/tcp, 8443/tcp]")
    )
    changed = changed.replace("routed: [203.0.113.16/28,", "routed: [203.0.113.16/28, 203.0.113.8/29,")

    def still(change: Change) -> None:
        for flow in flows:
            flow.again()

    before = site.used()
    assert operator.apply(changed, still) >= 2
    assert [flow.again().seen for flow in flows[:2]] == [A, "2001:db8:a::2"]
    assert site.through(before) == ({"isp-a", "isp-b"}, {"isp-a", "isp-b"})
    assert site.leaks() == 0


def test_killed_between_any_two_steps_it_fails_closed_and_the_next_pass_makes_it_good(
    site: Site, operator: Operator, prober: Prober
) -> None:
    steps = operator.apply(spec())
    operator.apply(None)
    gateway = GatewayHost(site.gateway)
    for text in (spec(), None):
        for number in range(1, steps, (1 if text else 4) * (1 if ALL else 3)):
            if text is None:
                operator.apply(spec())
            killer = _killer(number, prober)
            with pytest.raises(Killed):
                operator.apply(text, killer)
            prober.send()
            operator.apply(text)
            if text:
                prober.send()
                operator.apply(None)
        assert gateway.owned() == []
    assert site.leaks() == 0


CACHE = "{ type: bpf, flowCache: auto }"


def test_no_step_of_a_flow_cache_lets_anything_leave_untranslated(
    site: Site, operator: Operator, prober: Prober
) -> None:
    """That comes on, changes the stage bit under a flow that it holds, and goes off."""

    def probe(change: Change) -> None:
        if change.ref.kind in ("flow-cache", "tc-program", "nft-table"):
            prober.send()

    operator.apply(spec("{ type: bpf }"))
    site.far.serve(443)
    with site.client.connect(site.far.address, 443) as flow:
        for text in (CACHE, CACHE.replace(" }", ", stageBit: 29 }"), CACHE, "{ type: bpf }", CACHE):
            operator.apply(spec(text), probe)
            for _ in range(20):
                flow.again()
            assert flow.seen == A
    assert operator.apply(None, probe) > 45
    prober.send()
    assert site.leaks() == 0


def test_killed_between_any_two_steps_of_a_flow_cache_the_next_apply_makes_it_good(
    site: Site, operator: Operator, prober: Prober
) -> None:
    off, on = spec("{ type: bpf }"), spec(CACHE)
    operator.apply(on)  # from now on conntrack stays liberal, so that all further changes have as many steps
    steps = operator.apply(off)
    for before, after in ((off, on), (on, off)):
        for number in range(1, steps, 1 if ALL else 2):
            operator.apply(before)
            with pytest.raises(Killed):
                operator.apply(after, _killer(number, prober))
            prober.send()
            operator.apply(after)
    assert site.leaks() == 0


def _killer(number: int, prober: Prober) -> Step:
    seen = 0

    def step(change: Change) -> None:
        nonlocal seen
        seen += 1
        if seen > number:
            raise Killed

    return step


def many_forwards(count: int) -> str:
    """So many ports, each to another of the server: more than one transaction at the first apply."""
    return spec(
        more="".join(
            f"    many-{n}:\n      at: 203.0.113.17\n      ports: {20_000 + n}/tcp\n"
            f"      to: 192.168.1.80:{40_000 + n}\n"
            for n in range(count)
        )
    )


@dataclass
class Fuse:
    """Holds for so many transactions, and kills before the next."""

    left: int

    def burn(self) -> None:
        if not self.left:
            raise Killed
        self.left -= 1


def test_killed_between_the_transactions_of_many_forwards_it_fails_closed_and_is_made_good(
    site: Site, operator: Operator, prober: Prober, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The map is made, filled, and then come the rules that ask it: between these a kill changes nothing."""
    text, fuse = many_forwards(2 * MANY), Fuse(0)

    def probing(name: str) -> None:
        real = getattr(NftTableDriver, name)

        def run(driver: NftTableDriver, step: object) -> None:
            prober.send()
            fuse.burn()
            real(driver, step)
            prober.send()

        monkeypatch.setattr(NftTableDriver, name, run)

    probing("_apply_text")
    probing("_apply_elements")
    for number in range(3):
        fuse.left = number
        with pytest.raises(Killed):
            operator.apply(text)
        assert "chain" not in site.gateway.run("nft", "list", "table", "inet", "nvi", check=False).stdout
        fuse.left = 9
        operator.apply(text)
        operator.apply(None)
    operator.apply(text)
    site.server.serve(40_000 + MANY)
    assert site.far.connect("203.0.113.17", 20_000 + MANY).seen
    assert site.leaks() == 0


class Refusing(Kernel):
    """A real kernel that refuses the change of a number."""

    refuse_at = 0
    count = 0

    def apply(self, change: Change) -> None:
        self.count += 1
        if self.count == self.refuse_at:
            raise KernelError(f"{change.ref}: refused by the test")
        super().apply(change)


def test_refused_at_any_step_a_change_is_put_back_exactly(site: Site, operator: Operator, prober: Prober) -> None:
    one = spec()
    other = spec("{ type: bpf, inInterface: skb_iif }").replace("as: isp-a", "as: isp-b")
    other = other.replace("203.0.113.16/28", "203.0.113.24/29")
    steps = operator.apply(one)
    changes = operator.apply(other)
    for before, after, count in ((one, other, changes), (None, one, steps)):
        operator.apply(before)
        for number in range(1, count + 1, 1 if before else 5):
            loaded = load_texts({"gateway.yaml": after.encode()})
            with entered(operator.netns), Refusing(loaded.spec.numbers) as kernel:
                kernel.refuse_at = number
                with pytest.raises(KernelError, match="refused by the test"):
                    reconcile(kernel, Compiler(loaded.name, loaded.spec))
            prober.send()
            assert operator.apply(before) == 0, f"refused at step {number}: everything is as it was"
    assert GatewayHost(site.gateway).owned() == []
    assert site.leaks() == 0


@pytest.mark.parametrize(
    ("what", "command"),
    [
        ("device-down", "ip link set nvi0 down"),
        ("device-deleted", "ip link del nvi0"),
        ("table-deleted", "nft delete table inet nvi"),
        ("table-flushed", "nft flush table inet nvi"),
        ("ruleset-flushed", "nft flush ruleset"),
        ("mark-hook-flushed", "nft flush chain inet nvi mark_hook"),
        ("srcnat-flushed", "nft flush chain inet nvi srcnat"),
        ("guards-flushed", "nft flush chain inet nvi guard"),
        ("program-detached", "tc filter del dev nvi0 egress"),
        ("steer-deleted", "ip rule del pref 1010 iif lan0"),
        ("device-route-deleted", "ip route del default dev nvi0 table 7800"),
        ("fallback-deleted", "ip route del unreachable default table 7801 metric 4294967295"),
        ("lan-renamed", "rename lan0 lan9"),
        ("lan-without-addresses", "ip addr flush dev lan0"),
        ("wan-renamed", "rename wan0 wan9"),
        ("wan-down", "ip link set wan0 down"),
        ("rules-flushed-by-a-manager", "ip rule flush pref 1600"),
    ],
)
def test_sabotage_leaks_nothing_and_is_healed(
    site: Site, operator: Operator, prober: Prober, what: str, command: str, dataplane: str
) -> None:
    operator.apply(spec(dataplane))
    site.far.serve(443)
    assert site.client.connect(site.far.address, 443).seen == A
    old = prober.sent
    verb, *objects = command.split()
    if verb == "rename":
        site.gateway.rename(*objects)
    else:
        there = what != "program-detached" or "kmod" not in dataplane  # the module needs no program
        site.gateway.run(verb, *objects, check=there)
    for _ in range(20):
        prober.send()
    assert prober.sent == old + 20
    assert site.leaks() == 0
    if what == "wan-down":
        site.gateway.ip("link set wan0 up")
    if what == "lan-without-addresses":
        site.gateway.ip("addr add 192.168.1.1/24 dev lan0", "addr add fd00:1::1/64 dev lan0 nodad")
    if verb == "rename":
        site.gateway.rename(*reversed(objects))
    operator.apply(spec(dataplane))
    until(lambda: site.client.reaches(site.far.address, 443), "the gateway works again")
    assert site.client.connect(site.far.address, 443).seen == A
    assert site.leaks() == 0


def test_flows_go_on_while_their_inside_interface_has_another_name(site: Site, operator: Operator) -> None:
    """Rules by source and marks by number: a rename costs nothing."""
    operator.apply(spec("{ type: auto, inInterface: mark }"))
    site.far.serve(443)
    with site.client.connect(site.far.address, 443) as flow:
        site.gateway.rename("lan0", "lan9")
        assert flow.again().seen == A
        assert site.client.connect(site.far.address, 443).seen == A
    assert site.leaks() == 0


def test_an_interface_deleted_and_made_again_is_followed(site: Site, operator: Operator, dataplane: str) -> None:
    operator.apply(spec(dataplane))
    site.far.serve(443)
    lab, gw = site.lab, site.gateway
    gw.ip("link del lan0")
    operator.apply(spec(dataplane))
    assert site.leaks() == 0
    lab.link(gw, "lan0", lab.hosts["lan0-sw"], "p0")
    lab.hosts["lan0-sw"].ip("link set dev p0 master br0")
    gw.ip("addr add 192.168.1.1/24 dev lan0", "addr add fd00:1::1/64 dev lan0 nodad")
    assert operator.apply(spec(dataplane)) > 0
    until(lambda: site.client.reaches(site.far.address, 443), "the gateway works again")
    assert site.leaks() == 0


def test_a_refused_transaction_changes_nothing(site: Site, operator: Operator, dataplane: str) -> None:
    """A foreign link has the device's name: one clear error, and no step is taken."""
    gateway = GatewayHost(site.gateway)
    site.gateway.ip("link add nvi0 type bridge")
    before = gateway.foreign()
    failed = gateway.nvictl("apply", gateway.spec(spec(dataplane)), check=False)
    assert failed.returncode == 1
    assert "nvi0" in failed.stderr
    assert "a foreign link" in failed.stderr
    assert "hint:" in failed.stderr
    assert gateway.foreign() == before
