"""nvictl in a host of the laboratory, as a user runs it: a process, its output, its exit code."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.lab.command import ROOT, nvictl, start_server
from tests.lab.net import Host

PROTOCOL = 78
GROUPS = ("78", "79")
TABLE = ("inet", "nvi")
DEVICE = "nvi0"


class GatewayHost:
    """A host that nvictl makes a gateway."""

    def __init__(self, host: Host) -> None:
        start_server()
        self.host = host
        self._scratch = TemporaryDirectory(prefix="nvi-lab-")

    def spec(self, spec: str | Path) -> Path:
        """A directory with this spec: given as a path (below the project's root), or as YAML text."""
        if isinstance(spec, Path):
            return spec
        if "\n" not in spec:
            return ROOT / spec
        directory = Path(self._scratch.name)
        (directory / "gateway.yaml").write_text(spec, encoding="utf-8")
        return directory

    def nvictl(self, *arguments: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = nvictl([*map(str, arguments), "--netns", self.host.netns])
        if check and done.returncode:
            raise AssertionError(f"nvictl {' '.join(map(str, arguments))}: {done.stderr}")
        return done

    def apply(self, spec: str | Path) -> subprocess.CompletedProcess[str]:
        return self.nvictl("apply", self.spec(spec))

    def down(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.nvictl("down", *arguments)

    def differences(self, spec: str | Path) -> list[str]:
        """What `nvictl plan` would do, by kind and key."""
        plan = json.loads(self.nvictl("plan", self.spec(spec), "-o", "json").stdout)
        return [f"{step['action']} {step['kind']} {step['key']}" for step in plan["steps"]]

    def counters(self) -> dict[str, int]:
        """All counters of device and table, by name; none before an apply."""
        done = self.nvictl("status", "-o", "json", check=False)
        assert done.returncode in (0, 1), f"nvictl status: {done.stderr}"  # 1: degraded, or not applied
        status = json.loads(done.stdout)
        return {name: value for group in status["counters"].values() for name, value in group.items()}

    # ---------------------------------------------------------------- owned and foreign objects

    def owned(self) -> list[str]:
        """Owned objects in the kernel, found without any of the operator's code."""
        run = self.host.run
        table = f"table {' '.join(TABLE)}"
        left = [table] if table in run("nft", "list", "tables").stdout.splitlines() else []
        for family in ("-4", "-6"):
            rules = json.loads(run("ip", family, "-j", "-N", "rule").stdout or "[]")
            left += [f"rule {rule}" for rule in rules if str(rule.get("protocol")) == str(PROTOCOL)]
            routes = json.loads(run("ip", family, "-j", "-N", "route", "show", "table", "all").stdout or "[]")
            left += [f"route {route}" for route in routes if str(route.get("protocol")) == str(PROTOCOL)]
        links = json.loads(run("ip", "-j", "-N", "link").stdout)
        left += [f"link {link['ifname']}" for link in links if str(link.get("group")) in GROUPS]
        proxied = json.loads(run("ip", "-N", "-j", "neigh", "show", "proxy").stdout or "[]")
        left += [f"proxy {entry}" for entry in proxied if str(entry.get("protocol")) == str(PROTOCOL)]
        left += [f"tc {line}" for line in self._tc() if " nvi" in line]
        return left

    def _tc(self) -> list[str]:
        """Queueing disciplines of all links, and what is attached to them, as lines that name their link."""
        lines = self.host.run("tc", "qdisc", "show").stdout.splitlines()
        fields = [line.split() for line in lines]
        for dev in [words[words.index("dev") + 1] for words in fields if "clsact" in words]:
            for side in ("ingress", "egress"):
                shown = self.host.run("tc", "filter", "show", "dev", dev, side).stdout.splitlines()
                lines += [f"{side} dev {dev} : {line.strip()}" for line in shown]
        return lines

    def foreign(self) -> dict[str, Any]:
        """All foreign state that the operator might have changed, in a form that can be compared."""
        run = self.host.run
        ruleset = json.loads(run("nft", "-j", "-s", "list", "ruleset").stdout)["nftables"]
        foreign_nft = [
            entry
            for entry in ruleset
            for body in entry.values()
            if (body.get("family"), body.get("table", body.get("name"))) != TABLE and "metainfo" not in entry
        ]
        state: dict[str, Any] = {"nft": foreign_nft}
        for family in ("-4", "-6"):
            for what, command in (("rule", ["rule"]), ("route", ["route", "show", "table", "all"])):
                entries = json.loads(run("ip", family, "-j", "-N", *command).stdout or "[]")
                state[f"{what}{family}"] = [e for e in entries if str(e.get("protocol")) != str(PROTOCOL)]
        links = json.loads(run("ip", "-j", "-N", "addr").stdout)
        state["links"] = [
            {key: link.get(key) for key in ("ifname", "group", "mtu", "flags", "link_type", "addr_info")}
            for link in links
            if link["ifname"] != DEVICE
        ]
        state["sysctl"] = self.host.call(_settings)
        state["tc"] = [line for line in self._tc() if f" dev {DEVICE} " not in line]
        return state


def _settings() -> dict[str, str]:
    """The sysctls of every interface but the gateway's device, in the calling thread's namespace."""
    root = Path("/proc/sys/net")
    files = [root / "ipv4/ip_forward", *root.glob("ipv4/conf/*/*"), *root.glob("ipv6/conf/*/*")]
    # A stable secret cannot be read until it is written.
    told = [f for f in files if f.parent.name != DEVICE and f.name != "stable_secret"]
    return {str(file): file.read_text(encoding="ascii") for file in told if file.stat().st_mode & 0o444}
