"""What only tcx can do. Kernels before 6.6 have none: conftest.py leaves this file out there."""

from __future__ import annotations

from pathlib import Path

import pytest

from nvi_operator.errors import KernelError
from nvi_operator.kernel.bpf import objects, tcx
from tests.dataplane.cached import MECHANISMS
from tests.dataplane.test_bpf_attach import NAME, SPOOFED, made

pytestmark = pytest.mark.netns


def test_tcx_needs_no_qdisc(tmp_path: Path) -> None:
    with made("tcx", tmp_path) as gateway:
        gateway.attach()
        assert gateway.qdiscs() == ""


def test_a_change_between_listing_and_attaching_is_a_transient_error(tmp_path: Path) -> None:
    with made("tcx", tmp_path) as gateway:
        seen = gateway.netns.call(tcx.programs, gateway.ifindex, "ingress").revision
        gateway.attach()

        def attach_late() -> None:
            with objects.load("ingress_guard") as guard:
                tcx.attach(gateway.ifindex, "ingress", guard.programs[NAME], "first", seen)

        with pytest.raises(KernelError) as caught:
            gateway.netns.call(attach_late)
        assert caught.value.transient


def test_what_the_other_mechanism_attached_is_replaced(tmp_path: Path) -> None:
    """After an upgrade of the kernel, or with another choice."""
    for one, other in (MECHANISMS, MECHANISMS[::-1]):
        with made(one, tmp_path / one) as gateway:
            gateway.attach(SPOOFED)
            (first,) = gateway.at()
            gateway.attachments._mechanism = other
            gateway.attach("10.0.0.77", replaces=first)
            (second,) = gateway.at()
            assert (first.mechanism, second.mechanism) == (one, other)
            assert gateway.hears()
