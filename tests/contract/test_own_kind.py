"""Adding a kind of kernel object takes a file in kinds/, a driver, and a line in each of two registries.

The kind here is an IPv4 address on the NAT virtual interface. It is added to a copy of the package, as one would add
it to the package itself, and everything else has to serve it without a change.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from subprocess import CompletedProcess

import pytest

import nvi_operator
from nvi_operator.errors import NviError
from nvi_operator.kernel.drivers import registry
from nvi_operator.kernel.kernel import Kernel
from nvi_operator.kinds import KINDS
from nvi_operator.language.model.settings import Numbers
from tests.contract.machines import RealMachine
from tests.lab import Lab

KIND = '''\
"""An address of the NAT virtual interface."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from nvi_operator.kind import Kind, Phase
from nvi_operator.topology.model import Topology


@dataclass(frozen=True)
class Address:
    ifname: str
    address: str

    @property
    def key(self) -> str:
        return f"{self.address} dev {self.ifname}"


def _desired(topology: Topology) -> Iterator[Address]:
    yield Address(topology.device, "192.0.0.10" if topology.hide_hop else "192.0.0.9")


ADDRESS = Kind(
    "address",
    Address,
    "ip address",
    _desired,
    phase=lambda address: Phase.PROGRAM,
    describe=lambda address: f"{address.address}/32 dev {address.ifname}",
    lives_on=lambda address: address.ifname,
)
'''

DRIVER = '''\
"""Addresses of the protocol number of the operator."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator, Mapping

from nvi_operator.kernel.driver import Driver
from nvi_operator.kernel.errors import kernel_errors
from nvi_operator.kernel.handles import Handles
from nvi_operator.kernel.netlink.rtnetlink import Rtnetlink
from nvi_operator.kernel.netlink.socket import CREATE, EXCLUSIVE
from nvi_operator.kinds.address import ADDRESS, Address
from nvi_operator.nft.wire.attributes import attribute, attributes
from nvi_operator.plan.change import Change
from nvi_operator.state.host import HostState

_NEW, _DELETE, _GET = 20, 21, 22  # RTM_*ADDR
_HEADER = struct.Struct("=4BI")  # struct ifaddrmsg: family, prefixlen, flags, scope, index
_LOCAL, _PROTO = 2, 11  # IFA_*


class AddressDriver(Driver):
    kind = ADDRESS.name

    def __init__(self, rtnetlink: Rtnetlink, protocol: int) -> None:
        self._rtnetlink = rtnetlink
        self._protocol = bytes([protocol])

    @classmethod
    def create(cls, handles: Handles, drivers: Mapping[str, Driver]) -> AddressDriver:
        return cls(handles.rtnetlink, handles.numbers.protocol)

    def observe(self, desired: HostState) -> Iterator[Address]:
        with kernel_errors("addresses: listing"):
            bodies = self._rtnetlink.dump(_GET, _HEADER.pack(socket.AF_INET, 0, 0, 0, 0), lambda body: True)
        for body in bodies:
            found = dict(attributes(body[_HEADER.size :]))
            if found.get(_PROTO) == self._protocol:
                yield Address(socket.if_indextoname(_HEADER.unpack_from(body)[4]), socket.inet_ntoa(found[_LOCAL]))

    def apply(self, change: Change) -> None:
        address = change.present
        assert isinstance(address, Address)
        with kernel_errors(f"address {address.key}: {change.action}"):
            body = _HEADER.pack(socket.AF_INET, 32, 0, 0, socket.if_nametoindex(address.ifname))
            body += attribute(_LOCAL, socket.inet_aton(address.address)) + attribute(_PROTO, self._protocol)
            if change.after is None:
                self._rtnetlink.request(_DELETE, 0, body)
            else:
                self._rtnetlink.request(_NEW, CREATE | EXCLUSIVE, body)
'''

# Each file of a registry with its two insertions: behind a line, another one.
LINES = {
    "kinds/__init__.py": (
        ("from typing import Any\n", "from nvi_operator.kinds.address import ADDRESS\n"),
        ("= (\n", "    ADDRESS,\n"),
    ),
    "kernel/drivers/registry.py": (
        (
            "from nvi_operator.kernel.driver import Driver\n",
            "from nvi_operator.kernel.drivers.address import AddressDriver\n",
        ),
        ("    LinkDriver,\n", "    AddressDriver,\n"),
    ),
}

SPEC = """\
apiVersion: nvi-operator/v1
kind: Gateway
metadata: { name: edge }
spec:
  dataplane: { type: bpf, hideHop: false }
  interfaces:
    lan0: { networks: [192.168.1.0/24] }
  uplinks:
    isp-a: { interface: wan0, nextHop: 203.0.113.1, addresses: [203.0.113.2], default: true }
  sourceNat:
    - { name: everyone, as: isp-a }
"""

REFUSED = """
import sys
from nvi_operator.errors import KernelError
from nvi_operator.kernel.kernel import Kernel
from nvi_operator.language.load.loader import load_directory
from nvi_operator.reconcile.compiler import Compiler
from nvi_operator.reconcile.cycle import reconcile

class Refusing(Kernel):
    def apply(self, change):
        if change.after is None and change.ref.key == "192.0.0.9 dev nvi0":
            raise KernelError("refused by the test")
        super().apply(change)

loaded = load_directory(sys.argv[1])
with Refusing(loaded.spec.numbers) as kernel:
    try:
        reconcile(kernel, Compiler(loaded.name, loaded.spec), on_step=lambda change: print(change.ref, change.action))
    except KernelError as error:
        print(error)
"""

FAKE = """
import sys
from nvi_operator.language.load.loader import load_directory
from nvi_operator.reconcile.compiler import Compiler
from nvi_operator.reconcile.cycle import dry_run, reconcile
from nvi_operator.state.host import Ref
from nvi_operator.testing import FakeKernel

loaded = load_directory(sys.argv[1])
kernel, gateway = FakeKernel.for_spec(loaded.spec), Compiler(loaded.name, loaded.spec)
reconcile(kernel, gateway)
assert Ref("address", "192.0.0.9 dev nvi0") in kernel.objects
kernel.lose_link("nvi0")
assert Ref("address", "192.0.0.9 dev nvi0") not in kernel.objects, "it disappears with its link"
print(*(step.ref for step in dry_run(kernel, gateway).steps), sep="\\n")
reconcile(kernel, Compiler(loaded.name, None))
assert not kernel.objects
"""


class Copy:
    """The package with one kind more, for commands in the namespace of a gateway."""

    def __init__(self, place: Path, machine: RealMachine) -> None:
        self._place, self.host = place, machine.host
        self._package = place / "nvi_operator"
        shutil.copytree(Path(nvi_operator.__file__).parent, self._package)
        (self._package / "kinds/address.py").write_text(KIND, encoding="utf-8")
        self._register("kinds/__init__.py")
        self.spec(SPEC)

    def add_the_driver(self) -> None:
        (self._package / "kernel/drivers/address.py").write_text(DRIVER, encoding="utf-8")
        self._register("kernel/drivers/registry.py")

    def _register(self, name: str) -> None:
        file = self._package / name
        text = file.read_text(encoding="utf-8")
        for behind, line in LINES[name]:
            assert text.count(behind) == 1
            text = text.replace(behind, behind + line)
        file.write_text(text, encoding="utf-8")

    def spec(self, text: str) -> None:
        (self._place / "spec").mkdir(exist_ok=True)
        (self._place / "spec/gateway.yaml").write_text(text, encoding="utf-8")

    def nvictl(self, command: str, *options: str) -> CompletedProcess[str]:
        return self._python("-m", "nvi_operator", command, str(self._place / "spec"), *options)

    def script(self, text: str) -> str:
        done = self._python("-c", text, str(self._place / "spec"))
        assert done.returncode == 0, done.stderr
        return done.stdout

    def _python(self, *arguments: str) -> CompletedProcess[str]:
        environment = ("env", f"PYTHONPATH={self._place}", "COLUMNS=200")
        return self.host.run(*environment, sys.executable, "-P", *arguments, check=False, timeout=120.0)

    def addresses(self) -> list[str]:
        """What the kernel has on the device."""
        links = json.loads(self.host.run("ip", "-j", "-4", "address").stdout)
        return [a["local"] for link in links if link["ifname"] == "nvi0" for a in link["addr_info"]]


@pytest.fixture
def copy(lab: Lab, tmp_path: Path) -> Copy:
    return Copy(tmp_path, RealMachine(lab))


@pytest.mark.netns
def test_a_kind_of_one_file_and_its_driver_is_served_by_everything(copy: Copy) -> None:
    refused = copy.nvictl("plan")
    assert refused.returncode == 1
    assert "kind address: no driver observes and applies it" in refused.stderr
    copy.add_the_driver()

    rendered = copy.nvictl("render").stdout
    assert "ip address" in rendered
    assert "192.0.0.9/32 dev nvi0" in rendered
    assert "+   192.0.0.9/32 dev nvi0" in copy.nvictl("plan", "--full").stdout
    steps = json.loads(copy.nvictl("plan", "-o", "json").stdout)["steps"]
    assert [step["after"] for step in steps if step["kind"] == "address"] == [
        {"ifname": "nvi0", "address": "192.0.0.9"}
    ]

    applied = copy.nvictl("apply", "-q")
    assert applied.returncode == 0, applied.stderr
    assert copy.addresses() == ["192.0.0.9"]
    assert copy.nvictl("diff").returncode == 0

    copy.host.ip("address del 192.0.0.9/32 dev nvi0")
    drift = copy.nvictl("drift", "--kernel")
    assert drift.returncode == 1
    assert "owned-missing address" in drift.stdout
    assert copy.nvictl("apply", "-q").returncode == 0
    assert copy.addresses() == ["192.0.0.9"]

    copy.spec(SPEC.replace("hideHop: false", "hideHop: true"))
    steps_until_refused = copy.script(REFUSED)
    assert "address 192.0.0.10 dev nvi0 create" in steps_until_refused
    assert "refused by the test" in steps_until_refused
    assert copy.addresses() == ["192.0.0.9"], "the revert removes the new one"
    assert copy.nvictl("apply", "-q").returncode == 0
    assert copy.addresses() == ["192.0.0.10"]

    assert copy.nvictl("down", "-q").returncode == 0
    assert copy.addresses() == []


@pytest.mark.netns
def test_the_fake_kernel_serves_it_as_well(copy: Copy) -> None:
    assert "address 192.0.0.9 dev nvi0" in copy.script(FAKE).splitlines()


@pytest.mark.parametrize(
    ("kinds", "drivers", "message"),
    [
        ({**KINDS, "address": None}, registry.DRIVERS, "kind address: no driver observes and applies it"),
        (KINDS, {**registry.DRIVERS, "address": None}, "driver of kind address: no such kind is planned"),
    ],
)
def test_no_kernel_is_made_where_kinds_and_drivers_do_not_match(
    monkeypatch: pytest.MonkeyPatch, kinds: object, drivers: object, message: str
) -> None:
    monkeypatch.setattr(registry, "KINDS", kinds)
    monkeypatch.setattr(registry, "DRIVERS", drivers)
    with pytest.raises(NviError, match=message):
        Kernel(Numbers())
