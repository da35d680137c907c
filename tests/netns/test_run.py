"""`nvictl run`: it follows the directory and the kernel, heals, and is never worse off for a mistake of others."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.lab import GatewayHost, Site
from tests.lab.daemon import Daemon
from tests.lab.net import until
from tests.netns.scenarios import A6, A, B, spec

pytestmark = pytest.mark.netns

Start = Callable[..., Daemon]


@pytest.fixture(autouse=True)
def _no_leaks(site: Site) -> Iterator[None]:
    """The daemon that a test starts is killed before the packets are counted."""
    site.far.serve(443)
    site.server.serve(443)
    yield
    assert site.leaks() == 0


def everyone_as(uplink: str) -> str:
    return spec().replace("    - name: everyone\n      as: isp-a", f"    - name: everyone\n      as: {uplink}")


def seen(site: Site) -> str:
    with site.client.connect(site.far.address, 443) as flow:
        return flow.seen


def test_it_applies_follows_a_saved_file_and_stays_in_place_after_sigterm(
    site: Site, gateway: GatewayHost, directory: Path, start: Start
) -> None:
    daemon = start()
    first = daemon.until("in sync")
    assert "+ the gateway itself: device nvi0, " in first
    assert len(first.splitlines()) < 20, "a summary: each boot makes a whole gateway"
    assert seen(site) == A
    (directory / "gateway.yaml").write_text(everyone_as("isp-b"))
    log = daemon.until("in sync")
    assert "now leaves as isp-b (198.51.100.2), no longer as isp-a (203.0.113.2)" in log
    assert seen(site) == B
    # As editors do it: a new file that takes the old one's name.
    new = directory / "gateway.yaml.tmp"
    new.write_text(everyone_as("isp-a"))
    new.rename(directory / "gateway.yaml")
    daemon.until("in sync")
    assert seen(site) == A
    assert daemon.stop() == 0
    assert seen(site) == A, "the dataplane stays"
    assert gateway.differences(directory) == []
    assert "nothing to change" in start().until("in sync")


def test_a_neighbour_who_writes_our_bit_is_named_and_with_force_it_goes_on(
    site: Site, gateway: GatewayHost, start: Start
) -> None:
    site.gateway.nft("table inet shop { chain c { type filter hook prerouting priority -150; meta mark set 5; }; }")
    refused = start()
    assert "--force continues" in refused.until("shop", "next attempt")
    assert gateway.owned() == []
    assert refused.stop() == 0
    start("--force").until("in sync")


def test_while_nothing_happens_it_is_one_process(site: Site, directory: Path, start: Start) -> None:
    """That of libnftables, which takes a tenth of the memory, is there while it is needed."""
    daemon = start()
    daemon.until("in sync")
    children = Path(f"/proc/{daemon.process.pid}/task/{daemon.process.pid}/children")
    until(lambda: not children.read_text(), "it is alone")
    (directory / "gateway.yaml").write_text(everyone_as("isp-b"))
    daemon.until("in sync")
    assert seen(site) == B


def test_a_gateway_has_one_instance_and_is_not_taken_down_beside_it(
    site: Site, gateway: GatewayHost, directory: Path, start: Start
) -> None:
    first = start()
    first.until("in sync")
    second = gateway.nvictl("run", directory, check=False)
    assert second.returncode == 1
    assert f"nvictl run {directory} (pid {first.process.pid}) is already running" in second.stderr
    done = gateway.nvictl("apply", directory)
    assert f"warning: nvictl run {directory} (pid {first.process.pid}) is running" in done.stderr
    refused = gateway.nvictl("down", check=False)
    assert refused.returncode == 1
    assert f"nvictl run {directory} (pid {first.process.pid}) is running" in refused.stderr
    assert f"systemctl stop nvi-operator, or kill {first.process.pid}" in refused.stderr
    assert gateway.differences(directory) == []
    first.stop(signal.SIGKILL)
    assert "warning" not in gateway.nvictl("apply", directory).stderr
    start().until("in sync")


def test_a_file_is_read_when_its_writer_has_closed_it(site: Site, directory: Path, start: Start) -> None:
    """Half of it would be a gateway, and another one."""
    daemon = start()
    daemon.until("in sync")
    text = everyone_as("isp-b")
    half = text.index("  forwards:")
    with (directory / "gateway.yaml").open("w") as file:
        file.write(text[:half])
        file.flush()
        began = time.monotonic()
        until(lambda: time.monotonic() > began + 1.0, "a second, in which nothing is read")
        assert "changes" not in daemon.text
        assert seen(site) == A
        site.gateway.run("nft", "flush", "chain", "inet", "nvi", "srcnat")
        daemon.until("drift", "healed")
        file.write(text[half:])
    log = daemon.until("changes", "in sync")
    assert "forwards" not in log
    assert seen(site) == B


def test_a_file_more_adds_to_the_gateway(site: Site, directory: Path, start: Start) -> None:
    daemon = start()
    daemon.until("in sync")
    head = "apiVersion: nvi-operator/v1\nkind: Gateway\nmetadata: { name: edge }\nspec:\n"
    (directory / "more.yaml").write_text(head + "  forwards:\n    alt: { ports: 8443/tcp, to: '192.168.1.80:443' }\n")
    daemon.until("in sync")
    assert site.far.connect(A, 8443).by == "server"
    (directory / "more.yaml").unlink()
    daemon.until("in sync")
    assert not site.far.reaches(A, 8443)


def test_a_saved_row_beside_the_yaml_is_followed_and_a_wrong_one_is_told(
    site: Site, gateway: GatewayHost, directory: Path, start: Start
) -> None:
    head = "apiVersion: nvi-operator/v1\nkind: Gateway\nmetadata: { name: edge }\nspec:\n"
    (directory / "more.yaml").write_text(head + "  forwardsFrom: forwards.csv\n")
    (directory / "forwards.csv").write_text("name,ports,to\nalt,8443/tcp,192.168.1.80:443\n")
    daemon = start()
    daemon.until("in sync")
    assert site.far.connect(A, 8443).by == "server"
    (directory / "forwards.csv").write_text("name,ports,to\nalt,9443/tcp,192.168.1.80:443\n")
    daemon.until("in sync")
    assert site.far.connect(A, 9443).by == "server"
    assert not site.far.reaches(A, 8443)
    (directory / "forwards.csv").write_text("name,ports,to\nalt,9443,192.168.1.80:443\n")
    assert "forwards.csv:2:5: spec.forwards.alt.ports: '9443' names no protocol" in daemon.until("names no protocol")
    assert site.far.connect(A, 9443).by == "server", "the last good one stays in force"
    (directory / "forwards.csv").write_text(
        "name,ports,to\nalt,9443/tcp,192.168.1.80:443\nold,8443/tcp,192.168.1.80:443\n"
    )
    daemon.until("in sync")
    assert site.far.connect(A, 8443).by == "server"
    assert gateway.differences(directory) == []


def test_a_wrong_spec_is_reported_and_the_last_good_one_stays(site: Site, directory: Path, start: Start) -> None:
    daemon = start()
    daemon.until("in sync")
    (directory / "gateway.yaml").write_text(spec().replace("      as: isp-a\n", "      as: isp-x\n"))
    log = daemon.until("isp-x", "hint:")
    assert "the last good one stays in force" in log
    assert "gateway.yaml:2" in log
    assert "did you mean 'isp-" in log
    assert seen(site) == A
    site.gateway.run("nft", "flush", "chain", "inet", "nvi", "srcnat")
    daemon.until("healed"), "by the last good one"
    assert seen(site) == A
    (directory / "gateway.yaml").write_text(everyone_as("isp-b"))
    daemon.until("in sync")
    assert seen(site) == B


def test_a_wrong_spec_at_the_start_is_waited_out(site: Site, directory: Path, start: Start) -> None:
    good = (directory / "gateway.yaml").read_text()
    (directory / "gateway.yaml").write_text("no: gateway\n")
    daemon = start()
    daemon.until("next attempt")
    (directory / "gateway.yaml").write_text(good)
    daemon.until("in sync")
    assert seen(site) == A


@pytest.mark.parametrize(
    "command",
    [
        "nft delete table inet nvi",
        "nft insert rule inet nvi srcnat accept",
        "ip rule del pref 1600 from 203.0.113.2",
        "ip rule add pref 1005 from 10.9.9.9 lookup main protocol 78",
        "ip route flush table 7801",
        "ip link set nvi0 down",
        "ip link del nvi0",
        "ip link set nvi0 group 0",
        "ip link set nvi0 alias theirs",
        "ip link set nvi0 name nvi9",
        "ip route replace default dev lo table 7800 metric 1024 proto static",
        "tc filter del dev nvi0 egress",
        "ip link set wan0 group 0",
        "tee /proc/sys/net/ipv4/ip_forward",
    ],
)
def test_foreign_changes_of_owned_objects_are_healed(
    site: Site, gateway: GatewayHost, directory: Path, start: Start, command: str
) -> None:
    daemon = start()
    daemon.until("in sync")
    site.gateway.run(*command.split(), text="0\n")
    daemon.until("drift", "healed")
    assert gateway.differences(directory) == []
    assert seen(site) == A


def test_drift_is_left_by_kind_and_pattern_and_what_keeps_packets_in_is_healed_whatever_the_policy_is(
    site: Site, gateway: GatewayHost, directory: Path, start: Start
) -> None:
    drift = '  drift: { policy: report, kinds: { sysctl: ignore }, objects: { "route * table 7802 *": heal } }\n'
    (directory / "gateway.yaml").write_text(spec() + drift)
    daemon = start()
    daemon.until("in sync")
    foreign = "route replace default via {} dev {} table {} metric 1024 onlink proto 78"
    site.gateway.write("net/ipv4/conf/lan0/send_redirects", "1")
    site.gateway.ip(foreign.format("203.0.113.5", "wan0", 7801))
    daemon.until(", left as it is", "203.0.113.5")
    for command in (
        "nft flush chain inet nvi srcnat",
        "ip rule del pref 1600 from 203.0.113.2",
        "ip " + foreign.format("198.51.100.5", "wan1", 7802),
    ):
        site.gateway.run(*command.split())
        daemon.until("drift", "healed")
    assert not site.client.pings(site.far.address, wait=0.3), "by a router that is not there"
    with site.server.connect(site.far.address, 443) as flow:
        assert flow.seen == B
    found = json.loads(gateway.nvictl("drift", directory, "-o", "json", check=False).stdout)
    assert found["ignored"] == ["sysctl net/ipv4/conf/lan0/send_redirects"]
    site.gateway.ip("route del default table 7801 metric 1024")
    daemon.until("healed")
    assert seen(site) == A, "what is missing is put back"


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("net/ipv4/conf/lan0/accept_local", "0"),
        ("net/ipv4/conf/all/send_redirects", "1"),
        ("net/ipv4/conf/lan0/rp_filter", "1"),
        ("net/ipv4/ip_forward", "0"),
        ("net/ipv4/conf/lan0/forwarding", "0"),
        ("net/ipv6/conf/all/forwarding", "0"),
    ],
)
def test_a_setting_is_healed_within_a_second_though_the_kernel_may_not_report_it(
    site: Site, start: Start, setting: str, value: str
) -> None:
    daemon = start("--rescan", "3600")
    daemon.until("in sync")
    site.gateway.write(setting, value)
    changed = time.monotonic()
    daemon.until("drift", setting, "healed", seconds=10.0)
    assert time.monotonic() - changed < 5.0, "a second, and what a busy machine adds"
    assert site.gateway.call(lambda: Path("/proc/sys", setting).read_text().strip()) != value
    assert seen(site) == A


def test_who_changed_it_is_named_as_far_as_the_kernel_tells(site: Site, start: Start) -> None:
    """A reconcile in progress may see the change before its report: then no process is named."""
    daemon = start()
    daemon.until("in sync")
    for command, name in (
        ("nft flush chain inet nvi guard", "nft"),
        ("ip rule del pref 1900 to 192.168.1.0/24", "ip"),
    ):

        def named(command: str = command, name: str = name) -> bool:
            site.gateway.run(*command.split())
            return f"drift by {name} (pid" in daemon.until("healed")

        until(named, f"{name} is named")


def test_the_commit_and_whether_it_is_dirty_are_named(site: Site, directory: Path, start: Start) -> None:
    def git(*arguments: str) -> str:
        command = ["git", "-c", "user.name=A", "-c", "user.email=a@example.net", "-C", str(directory), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    git("init", "-q", "-b", "main")
    git("add", ".")
    git("commit", "-qm", "first")
    first = git("rev-parse", "--short", "HEAD")
    daemon = start()
    assert f"edge at {first} (main)" in daemon.until("in sync")
    (directory / "gateway.yaml").write_text(everyone_as("isp-b"))
    assert f"edge at {first}+ (main)" in daemon.until("in sync")
    git("commit", "-qam", "second")
    git("checkout", "-q", "HEAD~1")
    log = daemon.until("203.0.113.2", "in sync")
    assert f"edge at {first}: changes" in log
    assert seen(site) == A


def test_a_swapped_symlink_and_a_directory_made_again_are_followed(
    site: Site, directory: Path, start: Start, tmp_path: Path
) -> None:
    """As git-sync and Kubernetes do it, and as an administrator who starts afresh."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "a" / "gateway.yaml").write_text(spec())
    (tmp_path / "b" / "gateway.yaml").write_text(everyone_as("isp-b"))
    shutil.rmtree(directory)
    directory.symlink_to(tmp_path / "a")
    daemon = start()
    daemon.until("in sync")
    (tmp_path / "new").symlink_to(tmp_path / "b")
    (tmp_path / "new").rename(directory)
    daemon.until("in sync")
    assert seen(site) == B
    directory.unlink()
    daemon.until("the last good one stays in force")
    assert seen(site) == B
    directory.mkdir()
    (directory / "gateway.yaml").write_text(spec())
    daemon.until("in sync")
    assert seen(site) == A


def test_a_mistake_is_told_with_its_place_while_the_kernel_refuses(site: Site, directory: Path, start: Start) -> None:
    site.gateway.ip("link add nvi0 type bridge")
    daemon = start()
    daemon.until("nvi0", "next attempt")
    (directory / "gateway.yaml").write_text(spec().replace("as: isp-a", "as: isp-z"))
    log = daemon.until("the last good one stays in force", "next attempt")
    assert "gateway.yaml:" in log
    assert "isp-z" in log
    (directory / "gateway.yaml").write_text(spec())
    assert "nvi0" in daemon.until("the spec is right again", "next attempt")


def test_a_refusal_of_the_kernel_is_survived(site: Site, directory: Path, start: Start) -> None:
    site.gateway.ip("link add nvi0 type bridge")
    daemon = start()
    log = daemon.until("a foreign link", "hint:")
    assert "hint:" in log
    site.gateway.ip("link del nvi0")
    daemon.until("in sync")
    assert seen(site) == A


def test_a_new_lease_is_followed_without_being_told(site: Site, directory: Path, start: Start) -> None:
    text = spec().replace("addresses: [203.0.113.2, 2001:db8:a::2]", "addresses: auto")
    (directory / "gateway.yaml").write_text(text)
    daemon = start()
    daemon.until("in sync")
    site.gateway.ip(
        "addr del 203.0.113.2/29 dev wan0", "addr add 203.0.113.3/29 dev wan0", "route add default via 203.0.113.1"
    )
    until(lambda: "203.0.113.3" in daemon.text, "the new address is taken up")
    until(lambda: site.client.reaches(site.far.address, 443), "flows are made again")
    assert seen(site) == "203.0.113.3"
    with site.client.connect(site.far.address6, 443) as flow:
        assert flow.seen == A6


def test_a_fight_over_an_object_ends_with_its_name(site: Site, directory: Path, start: Start) -> None:
    daemon = start()
    daemon.until("in sync")
    log = ""
    for _ in range(30):
        site.gateway.run("ip", "rule", "del", "pref", "1600", "from", "203.0.113.2", check=False)
        until(lambda: "healed" in daemon.text or "paused for" in daemon.text, "it is healed, or given up")
        log = daemon.until("")
        if "paused for" in log:
            break
    assert "fib-rule -4 pref 1600 from 203.0.113.2/32" in log
    assert "changed by ip (pid" in log


def test_a_fight_over_the_device_keeps_nothing_else_from_being_healed(
    site: Site, directory: Path, start: Start
) -> None:
    daemon = start()
    daemon.until("in sync")
    log = ""
    while "link nvi0: changed by" not in log:
        site.gateway.ip("link set dev nvi0 group 0")
        log = daemon.until("healed")
    site.gateway.ip("link set dev nvi0 down")
    site.gateway.ip("rule del pref 1600 from 203.0.113.2")
    assert "1 ip rule missing" in daemon.until("healed")
    (directory / "gateway.yaml").write_text(everyone_as("isp-b"))
    daemon.until("now leaves as isp-b", "in sync")
    assert "state DOWN" in site.gateway.run("ip", "link", "show", "nvi0").stdout
