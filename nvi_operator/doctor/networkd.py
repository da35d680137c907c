"""systemd-networkd's configuration: does it keep rules, routes and addresses that it did not make? Pure.

See networkd.conf(5) and systemd.network(5).
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_interface

from nvi_operator.doctor.survey import Networkd, NetworkdLink

_NO = frozenset({"no", "n", "false", "f", "off", "0"})


def parse_networkd(texts: Iterable[str]) -> Networkd:
    """Parse the text of networkd.conf and its drop-ins, in the order in which they are read: the last wins."""
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


def parse_network_file(ifname: str, file: str, texts: Iterable[str]) -> NetworkdLink:
    """Parse the text of a .network file and its drop-ins."""
    keeps = False
    addresses = []
    for text in texts:
        section = ""
        for line in map(str.strip, text.splitlines()):
            if line.startswith("["):
                section = line
            elif not line.startswith(("#", ";")):
                name, value = (part.strip() for part in (line.partition("=")[::2]))
                if section == "[Network]" and name == "KeepConfiguration":
                    keeps = value.lower() not in (*_NO, "", "dhcp", "dhcp-on-stop", "dynamic", "dynamic-on-stop")
                elif section in ("[Network]", "[Address]") and name == "Address":
                    try:
                        addresses.append(ip_interface(value).ip)
                    except ValueError:
                        continue  # networkd ignores it as well
    return NetworkdLink(ifname, file, keeps, frozenset(addresses))
