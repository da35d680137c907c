"""What systemd-networkd would delete, by its configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from nvi_operator.doctor.checks.settings import DROP_IN
from nvi_operator.doctor.networkd import parse_network_file, parse_networkd
from nvi_operator.doctor.survey import Networkd
from tests.unit.doctor.surveys import levels, spec, survey


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        pytest.param([], Networkd(True, True), id="defaults"),
        pytest.param(["[Network]\nManageForeignRoutingPolicyRules=no\n"], Networkd(False, True), id="rules"),
        pytest.param(
            ["[Network]\nManageForeignRoutes = off\n", "[Network]\nManageForeignRoutes=yes"],
            Networkd(True, True),
            id="the last wins",
        ),
        pytest.param(["[DHCP]\nManageForeignRoutes=no\n"], Networkd(True, True), id="another section"),
        pytest.param(["[Network]\n#ManageForeignRoutes=no\n"], Networkd(True, True), id="a comment"),
    ],
)
def test_networkd_keeps_what_its_configuration_says(texts: list[str], expected: Networkd) -> None:
    assert parse_networkd(texts) == expected


WAN0 = """[Match]
Name=wan0
[Network]
Address=203.0.113.2/24
# Address=203.0.113.7/24
[Address]
Address=2001:db8:a::2/64
[Address]
Address=nonsense
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (WAN0, ["warning"]),
        (WAN0.replace("Address=203.0.113.2/24", "DHCP=yes"), ["warning"]),
        (WAN0.replace("Address=203.0.113.2/24", "KeepConfiguration=static"), []),
        (WAN0.replace("Address=203.0.113.2/24", "KeepConfiguration=dhcp"), ["warning"]),
    ],
    ids=["removed and added again", "by another program", "kept", "only those of DHCP are kept"],
)
def test_addresses_that_networkd_would_delete(text: str, expected: list[str]) -> None:
    file = "/etc/systemd/network/wan0.network"
    managed = survey(networkd_links=(parse_network_file("wan0", file, [text]),))
    assert levels("networkd-addresses", managed, spec()) == expected
    assert levels("networkd-addresses", survey(), spec()) == [], "networkd does not configure it"


def test_the_drop_in_that_setup_installs_is_the_one_that_doctor_asks_for() -> None:
    root = Path(__file__).parents[3]
    (shipped,) = (root / "packaging" / "networkd").iterdir()
    assert f"/etc/systemd/networkd.conf.d/{shipped.name}" == DROP_IN
    assert parse_networkd([shipped.read_text()]) == Networkd(False, False)
