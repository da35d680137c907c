"""Kernel settings, and other programs that write them."""

from __future__ import annotations

from collections.abc import Iterator

from nvi_operator.doctor.finding import Finding
from nvi_operator.doctor.footprint import footprint
from nvi_operator.doctor.survey import Survey
from nvi_operator.kinds.sysctl import FORWARDING
from nvi_operator.language.model.gateway import GatewaySpec

DROP_IN = "/etc/systemd/networkd.conf.d/50-nvi-operator.conf"


def networkd(survey: Survey, spec: GatewaySpec | None) -> Iterator[Finding]:
    """systemd-networkd, which by default deletes rules and routes that it did not make."""
    if survey.networkd is None:
        return
    deleted = [
        name
        for name, on in (
            ("ManageForeignRoutingPolicyRules", survey.networkd.deletes_rules),
            ("ManageForeignRoutes", survey.networkd.deletes_routes),
        )
        if on
    ]
    if not deleted:
        yield Finding("ok", "networkd", "systemd-networkd keeps rules and routes that it did not make")
        return
    what = {"ManageForeignRoutingPolicyRules": "FIB rules", "ManageForeignRoutes": "routes"}
    settings = "".join(f"{name}=no\\n" for name in deleted)
    yield Finding(
        "problem",
        "networkd",
        f"systemd-networkd deletes {' and '.join(what[name] for name in deleted)} that it did not make, including "
        "the gateway's, whenever it restarts or reconfigures a link",
        f"mkdir -p {DROP_IN.rpartition('/')[0]}\n"
        f"printf '[Network]\\n{settings}' > {DROP_IN}\n"
        "systemctl restart systemd-networkd",
    )


def networkd_addresses(survey: Survey, spec: GatewaySpec | None) -> Iterator[Finding]:
    """Addresses of uplinks that a restart of systemd-networkd deletes, for good or for a moment."""
    managed = {link.ifname: link for link in survey.networkd_links if not link.keeps}
    for name, uplink in sorted(spec.uplinks.items()) if spec is not None else ():
        link, there = managed.get(uplink.interface), survey.links.get(uplink.interface)
        if link is None or there is None or uplink.addresses == "auto":
            continue
        on = {interface.ip: interface for interface in there.addresses}
        if any(address in on and address in link.addresses for address in uplink.addresses):
            yield Finding(
                "warning",
                "networkd-addresses",
                f"uplink {name}: a restart of systemd-networkd removes the addresses of {link.file} and adds them "
                f"again (seen with 252): routes through {uplink.interface} are lost until `nvictl run` or an apply "
                "restores them",
                f"# in {link.file}, section [Network]: KeepConfiguration=static",
            )
        for address in uplink.addresses:
            if address in on and address not in link.addresses:
                yield Finding(
                    "warning",
                    "networkd-addresses",
                    f"uplink {name}: {address} is on {uplink.interface}, but not in {link.file}, which configures it "
                    "for systemd-networkd: a restart deletes the address and, with the last one, all routes "
                    "through that interface",
                    f"# in {link.file}, section [Network]: Address={on[address]}\n"
                    "# or KeepConfiguration=static there, if another program sets the address",
                )


def rp_filter(survey: Survey, spec: GatewaySpec | None) -> Iterator[Finding]:
    """Strict reverse-path filtering breaks stage 2; an apply turns it off where the spec needs it."""
    strict = [
        name
        for name in ("all", *footprint(spec).interfaces)
        if survey.sysctls.get(f"net/ipv4/conf/{name}/rp_filter") == "1"
    ]
    if strict:
        yield Finding(
            "warning",
            "rp-filter",
            f"rp_filter is strict (1) on {', '.join(strict)}: an apply sets it to 0, and guards.antiSpoof takes its "
            "place; another tool that sets it back breaks stage 2",
            "grep -rs rp_filter /etc/sysctl.conf /etc/sysctl.d /run/sysctl.d /usr/lib/sysctl.d\n"
            "# see that none of these sets it to 1 after an apply",
        )


def forwarding(survey: Survey, spec: GatewaySpec | None) -> Iterator[Finding]:
    """Forwarding that an apply would switch on."""
    for family, path in FORWARDING.items():
        if survey.sysctls.get(path) == "0":
            yield Finding(
                "ok",
                "forwarding",
                f"this host does not forward IPv{family}: the apply of a gateway with IPv{family} switches on "
                f"{path.replace('/', '.')}, last of all",
            )


def proxy_arp(survey: Survey, spec: GatewaySpec | None) -> Iterator[Finding]:
    """proxy_arp on an interface of the gateway answers for every address."""
    for ifname in footprint(spec).interfaces:
        if survey.sysctls.get(f"net/ipv4/conf/{ifname}/proxy_arp") == "1":
            yield Finding(
                "warning",
                "proxy-arp",
                f"proxy_arp is on for {ifname}: since everything is routed to the device first, the gateway would "
                "answer there for every address",
                f"sysctl -w net/ipv4/conf/{ifname}/proxy_arp=0",
            )
