"""nft itself, and how much of the foreign rules it can show."""

from __future__ import annotations

from collections.abc import Iterator

from nvi_operator.doctor.finding import Finding
from nvi_operator.doctor.ruleset import ListedChain, ListedRule, Ruleset
from nvi_operator.doctor.survey import Survey
from nvi_operator.language.model.gateway import GatewaySpec
from nvi_operator.language.wording import counted

_TOUCHING = frozenset({"MARK", "CONNMARK", "CT", "NOTRACK", "TPROXY"})
_VERDICTS = ("accept", "drop", "reject", "jump", "goto", "return", "vmap", "queue")


def command(survey: Survey, spec: GatewaySpec | None) -> Iterator[Finding]:
    """The nft command, which reads foreign tables."""
    if survey.nft_version is None:
        yield Finding(
            "problem",
            "nft-command",
            "nft command not found: foreign rules were not checked",
            "apt-get install nftables",
        )
    else:
        yield Finding("ok", "nft-command", f"nft {survey.nft_version}")


def binding(survey: Survey, spec: GatewaySpec | None) -> Iterator[Finding]:
    """The Python bindings work and fit libnftables."""
    found = survey.binding
    if found is None:
        return
    todo = (
        "apt-get install python3-nftables\n"
        "# and use the system's Python, or a virtual environment made from it with --system-site-packages"
    )
    if found.error:
        yield Finding("problem", "nft-binding", f"the Python bindings of nftables do not work: {found.error}", todo)
    elif found.library and survey.nft_version and found.library != survey.nft_version:
        yield Finding(
            "warning",
            "nft-binding",
            f"the Python bindings load libnftables {found.library}, but the nft command is {survey.nft_version}: "
            "one may not be able to read what the other writes",
            "# remove the copy that does not come from the distribution (pip uninstall, /usr/local/lib)",
        )
    elif found.library and found.package and not _fit(found.package, found.library):
        yield Finding(
            "warning",
            "nft-binding",
            f"the Python bindings are version {found.package}, libnftables is {found.library}",
            "pip uninstall nftables pip-nftables\n" + todo,
        )
    else:
        yield Finding(
            "ok",
            "nft-binding",
            f"the Python bindings work, with libnftables {found.library or 'of unknown version'}",
        )


def _fit(package: str, library: str) -> bool:
    """Bindings of distributions have version 0.1, whatever the library's version is."""
    return package == "0.1" or package == library


def listing(survey: Survey, spec: GatewaySpec | None) -> Iterator[Finding]:
    """Tables that nft cannot list."""
    for failure in survey.nft_failures:
        yield Finding(
            "warning",
            "nft-listing",
            f"{failure}; it was not checked",
            "sudo nvictl doctor"
            if "not permitted" in failure
            else "# only a newer nft can list a table that it made: upgrade nftables, or ask the table's maker",
        )


def tables(survey: Survey, spec: GatewaySpec | None) -> Iterator[Finding]:
    """Dormant tables, and tables that only their owner can change."""
    for table in survey.nft_tables:
        place = f"{table.family} {table.name}"
        if "dormant" in table.flags:
            yield Finding(
                "ok",
                "nft-tables",
                f"table {place} is dormant: its rules are not in force and were not checked; clearing the flag puts "
                "them in force",
            )
        if "owner" in table.flags:
            who = "whose process has ended" if not table.owner else f"the process with netlink port {table.owner}"
            yield Finding(
                "ok", "nft-tables", f"table {place} has an owner, {who}: no other process can change a rule in it"
            )


def ingress(survey: Survey, spec: GatewaySpec | None) -> Iterator[Finding]:
    """Chains at devices that do not exist: their rules see no packet, without any error."""
    for chain in survey.nft_ingress:
        away = [name for name in chain.devices if not _is_there(name, survey)]
        if chain.devices and not away:
            continue
        place = f"{chain.family} {chain.table} {chain.name}"
        where = f"at {', '.join(away)}, not found here" if away else "at no device"
        yield Finding(
            "warning",
            "nft-ingress",
            f"chain {place} is {where}: its rules see no packet. The kernel deletes the hook with the device; when "
            "the device returns, Linux 6.18 sets the hook again, 6.12 does not",
            f"nft list chain {place}\n# and have its maker load it again after the device exists",
        )


def _is_there(name: str, survey: Survey) -> bool:
    if name.endswith("*"):
        return any(link.startswith(name[:-1]) for link in survey.links)
    return name in survey.links


def legacy(survey: Survey, spec: GatewaySpec | None) -> Iterator[Finding]:
    """Tables of iptables-legacy, which nft does not see."""
    for family, command_ in ((4, "iptables-legacy-save"), (6, "ip6tables-legacy-save")):
        names = sorted(name for of, name in survey.legacy_tables if of == family)
        if names:
            yield Finding(
                "warning",
                "iptables-legacy",
                f"iptables-legacy has tables ({', '.join(names)}) that nft does not show; they were not checked",
                f"{command_}\n# and move them to iptables-nft, or see that they accept the gateway's packets",
            )


def opaque(survey: Survey, spec: GatewaySpec | None) -> Iterator[Finding]:
    """Rules of iptables-nft that nft's JSON does not show, where they could touch marks or tracking."""
    ruleset = survey.ruleset
    for family, table in ruleset.tables:
        if table not in ("mangle", "raw"):
            continue
        bases = [c for c in ruleset.base_chains("prerouting", "output") if (c.family, c.table) == (family, table)]
        hidden = {rule for base in bases for rule in _reachable(ruleset, base) if _hides_target(rule)}
        if hidden:
            command_ = "ip6tables" if family == "ip6" else "iptables"
            yield Finding(
                "warning",
                "iptables-opaque",
                f"table {family} {table} holds {counted(len(hidden), 'rule')} of iptables whose targets nft does not "
                "show; they were not checked",
                f"{command_} -t {table} -S\n# a mark must be set with a mask that leaves the gateway's bits alone, "
                "and packets of stage 2 must not be tracked",
            )


def _reachable(ruleset: Ruleset, base: ListedChain) -> Iterator[ListedRule]:
    seen: set[str] = set()
    waiting = [base]
    while waiting:
        chain = waiting.pop()
        if chain.name in seen:
            continue
        seen.add(chain.name)
        for rule in chain.rules:
            yield rule
            for kind in ("jump", "goto"):
                waiting += [t for body in rule.bodies(kind) if (t := ruleset.target(rule, body["target"]))]


def _hides_target(rule: ListedRule) -> bool:
    """Newer versions of nft print type and name of an expression, older ones neither."""
    if rule.has(*_VERDICTS):
        return False
    return any(
        not isinstance(body, dict) or (body.get("type") == "target" and body.get("name") in _TOUCHING)
        for body in rule.bodies("xt")
    )
