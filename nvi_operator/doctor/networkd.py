"""What systemd-networkd's configuration says of other people's rules and routes. Pure; see networkd.conf(5)."""

from __future__ import annotations

from collections.abc import Iterable

from nvi_operator.doctor.survey import Networkd

_NO = frozenset({"no", "n", "false", "f", "off", "0"})


def parse_networkd(texts: Iterable[str]) -> Networkd:
    """From the text of networkd.conf and its drop-ins, in the order in which they are read: the last wins."""
    settings = {"ManageForeignRoutingPolicyRules": True, "ManageForeignRoutes": True}
    for text in texts:
        section = ""
        for line in map(str.strip, text.splitlines()):
            if line.startswith("["):
                section = line
            elif section == "[Network]" and not line.startswith(("#", ";")):
                name, _, value = line.partition("=")
                if name.strip() in settings:
                    settings[name.strip()] = value.strip().lower() not in _NO
    return Networkd(settings["ManageForeignRoutingPolicyRules"], settings["ManageForeignRoutes"])
