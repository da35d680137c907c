"""The tool that owns a table or a mark, and the commands that make it accept the gateway's packets. Pure."""

from __future__ import annotations

from typing import Literal

from nvi_operator.dataclass import dataclass
from nvi_operator.doctor.footprint import Footprint
from nvi_operator.doctor.ruleset import ListedChain, ListedRule, Ruleset

Tool = Literal["firewalld", "docker", "ufw", "iptables", "fw4", "kube-proxy", "tailscale", "libvirt", "nft"]

_IPTABLES_TABLES = frozenset({"filter", "nat", "mangle", "raw", "security"})
_BY_TABLE: dict[str, Tool] = {
    "firewalld": "firewalld",
    "docker-bridges": "docker",
    "fw4": "fw4",
    "kube-proxy": "kube-proxy",
    "libvirt_network": "libvirt",
}


def tool_of(ruleset: Ruleset, family: str, table: str) -> Tool:
    """The tool that made a table, as far as names tell."""
    if table in _BY_TABLE:
        return _BY_TABLE[table]
    if family in ("ip", "ip6") and table in _IPTABLES_TABLES:
        prefixes: tuple[tuple[str, Tool], ...] = (
            ("DOCKER", "docker"),
            ("ufw-", "ufw"),
            ("ufw6-", "ufw"),
            ("ts-", "tailscale"),
        )
        for prefix, tool in prefixes:
            if ruleset.has_chain(family, table, prefix):
                return tool
        if any(key[:2] == (family, table) and key[2].isupper() for key in ruleset.chains):
            return "iptables"
    return "nft"


def is_iptables(chain_family: str, table: str, chain: str) -> bool:
    """Is it a chain that iptables-nft manages?"""
    return chain_family in ("ip", "ip6") and table in _IPTABLES_TABLES and chain.isupper()


def accept_commands(ruleset: Ruleset, chain: ListedChain, need: Footprint, stages: set[int]) -> str:
    """Commands that make a base chain accept the gateway's packets of these stages, and how to keep that."""
    tool = tool_of(ruleset, chain.family, chain.table)
    lines: list[str] = []
    if is_iptables(chain.family, chain.table, chain.name):
        command = "ip6tables" if chain.family == "ip6" else "iptables"
        target, keep = chain.name, "keep it with the distribution's iptables-persistent or the like"
        if (
            tool == "docker"
            and chain.hook == "forward"
            and ruleset.has_chain(chain.family, chain.table, "DOCKER-USER")
        ):
            target = "DOCKER-USER"
        elif tool == "ufw" and chain.hook == "forward":
            target = "ufw6-before-forward" if chain.family == "ip6" else "ufw-before-forward"
            file = "before6.rules" if chain.family == "ip6" else "before.rules"
            keep = f"to keep it, put the same -A lines above the others of {target} in /etc/ufw/{file}"
        prefix = f"{command} -t {chain.table} -I {target}" if chain.table != "filter" else f"{command} -I {target}"
        if 1 in stages:
            lines += [f"{prefix} {option} -j ACCEPT" for option in _stage_1_options(chain, need)]
        if 2 in stages:
            lines.append(f"{prefix} -m mark --mark {need.stage:#x}/{need.stage:#x} -j ACCEPT")
        return "\n".join([*lines, f"# {keep}"])
    if "owner" in ruleset.flags.get((chain.family, chain.table), frozenset()):
        if tool == "firewalld":
            lines.append(
                "sed -i 's/^#*NftablesTableOwner=.*/NftablesTableOwner=no/' /etc/firewalld/firewalld.conf"
                " && firewall-cmd --reload"
            )
        else:
            lines.append("# the table has an owner: only that program can add the next lines")
    if 1 in stages:
        lines += [insert(chain.place, f"{match} accept") for match in _stage_1_matches(chain, need)]
    if 2 in stages:
        lines.append(insert(chain.place, f"{need.bit_match} accept"))
    if tool == "firewalld":
        lines.append("# firewalld loses this when it reloads: run it again after each (ExecStartPost=, ExecReload=)")
    elif tool == "fw4":
        lines.append(f"# to keep it, put the rules in /usr/share/nftables.d/chain-pre/{chain.name}/nvi.nft")
    return "\n".join(lines)


def insert(chain: str, rule: str) -> str:
    """The command for a rule at the head of a chain; quoted, since `&` means something to a shell."""
    return f"nft 'insert rule {chain} {rule}'"


def spare_command(ruleset: Ruleset, rule: ListedRule, need: Footprint) -> str:
    """The command that makes packets of stage 2 return from a chain before they meet a rule."""
    bases = (key[2] for key in ruleset.chains if key[:2] == (rule.family, rule.table))
    if any(is_iptables(rule.family, rule.table, name) for name in bases):
        command = "ip6tables" if rule.family == "ip6" else "iptables"
        match = f"-m mark --mark {need.stage:#x}/{need.stage:#x}"
        return f"{command} -t {rule.table} -I {rule.chain} {match} -j RETURN"
    return insert(rule.chain_place, f"{need.bit_match} return")


def _stage_1_options(chain: ListedChain, need: Footprint) -> list[str]:
    if chain.hook == "prerouting":  # the way out is not known there yet
        return [f"-i {ifname}" for ifname in need.interfaces]
    return [f"-o {need.device}"]


def _stage_1_matches(chain: ListedChain, need: Footprint) -> list[str]:
    if chain.hook == "prerouting":
        return [f'iifname "{ifname}"' for ifname in need.interfaces]
    return [f'oifname "{need.device}"']


@dataclass(frozen=True)
class MarkUser:
    """A program that is known to use these bits of the packet mark."""

    name: str
    mask: int


# After the fwmark registry (github.com/fwmark/registry) and the programs' own documentation.
MARK_USERS = (
    MarkUser("Tailscale", 0x00FF0000),
    MarkUser("pbr", 0x00FF0000),
    MarkUser("mwan3", 0x3F00),
    MarkUser("Kubernetes", 0xC000),
    MarkUser("Kubernetes", 0x4000),
    MarkUser("Kubernetes", 0x8000),
    MarkUser("Cilium", 0x0F00),
    MarkUser("AWS CNI", 0x80),
    MarkUser("Portmap of CNI", 0x2000),
    MarkUser("Weave Net", 0x60000),
    MarkUser("Antrea", 0x80000000),
    MarkUser("Calico", 0xFFFF0000),
)


def mark_user(mask: int) -> str:
    """The likely owner of a mask: the program that uses exactly it, otherwise the narrowest range that covers it."""
    exact = [user.name for user in MARK_USERS if user.mask == mask]
    covering = sorted((u for u in MARK_USERS if mask & ~u.mask == 0), key=lambda u: u.mask.bit_count())
    names = list(dict.fromkeys(exact or [user.name for user in covering[:1]]))
    return " or ".join(names)
