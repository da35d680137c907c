"""Objects in the kernel: constants, sizes, maps that go on, and the words of the verifier."""

from __future__ import annotations

import os
import re
from ctypes import CDLL

import pytest

from nvi_operator.errors import CapabilityError, KernelError
from nvi_operator.kernel.bpf import libbpf, objects, syscall
from nvi_operator.kernel.bpf.elf import RODATA

pytestmark = pytest.mark.netns

OPTIONS = {"stage_mask": 1 << 16}


def test_a_live_program_says_how_it_was_loaded() -> None:
    with objects.load("ingress_guard", constants=OPTIONS) as guard:
        size = len(objects.read("ingress_guard").rodata)
        rodata = syscall.lookup(guard.maps[RODATA], bytes(4), size)
        assert rodata is not None
        found = objects.constants_of("ingress_guard", rodata)
        assert found is not None
        assert found["stage_mask"] == 1 << 16
        with pytest.raises(CapabilityError, match="not permitted"):  # frozen
            syscall.update(guard.maps[RODATA], bytes(4), bytes(size))


def test_maps_are_of_the_size_that_is_asked_for() -> None:
    with objects.load("ingress_guard", sizes={"nvi_addresses": 4096}) as guard:
        assert syscall.map_info(guard.maps["nvi_addresses"]).entries == 4096


def test_a_map_that_is_reused_goes_on() -> None:
    with objects.load("ingress_guard") as first:
        counters = first.maps["nvi_refused"]
        size = 8 * syscall.possible_cpus()
        syscall.update(counters, bytes(4), b"\x01" * size)
        with objects.load("ingress_guard", reuse={"nvi_refused": counters}) as second:
            assert syscall.lookup(second.maps["nvi_refused"], bytes(4), size) == b"\x01" * size
            assert syscall.map_info(second.maps["nvi_addresses"]).entries == 64
        assert syscall.lookup(counters, bytes(4), size) == b"\x01" * size


def test_only_the_programs_that_are_asked_for_are_loaded() -> None:
    with objects.load("ingress_guard", programs=()) as guard:
        assert guard.programs == {}
        assert guard.maps.keys() == {"nvi_addresses", "nvi_refused", RODATA}


def test_nothing_is_left_open() -> None:
    with objects.load("ingress_guard"):
        pass
    before = len(os.listdir("/proc/self/fd"))
    with objects.load("ingress_guard"):
        pass
    assert len(os.listdir("/proc/self/fd")) == before


def test_the_verifiers_words_are_in_the_error(capfd: pytest.CaptureFixture[str]) -> None:
    image = objects.read("ingress_guard").image
    words = [image[at : at + 8] for at in range(0, len(image), 8)]
    last = re.compile(rb"\x95\0{7}|\x05\0..\0{4}", re.DOTALL)  # exit, or a jump: with one of them a program ends
    moves = bytes([0xBF, 0x11, *bytes(6)])
    with (
        pytest.raises(KernelError, match=r"bpf object odd: loading: .*last insn is not an exit or jmp") as caught,
        libbpf.loaded("odd", b"".join(moves if last.fullmatch(w) else w for w in words), sizes={}, reuse={}),
    ):
        pass
    assert caught.value.hint
    assert capfd.readouterr() == ("", "")


def test_what_is_no_object_is_refused(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KernelError, match="odd: opening"), libbpf.loaded("odd", b"\x7fELF", sizes={}, reuse={}):
        pass
    assert capfd.readouterr() == ("", "")


def test_a_machine_without_libbpf(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libbpf, "_LIBRARY", "libbpf-none.so.1")
    libbpf._library.cache_clear()
    with pytest.raises(CapabilityError, match="libbpf-none") as caught, objects.load("ingress_guard"):
        pass
    assert "libbpf1" in caught.value.hint


def test_without_rights_the_error_says_so() -> None:
    """In a process of its own: capabilities that a thread gave up do not come back."""
    child = os.fork()
    if child == 0:
        try:
            libc = CDLL(None)
            libc.setresuid(65534, 65534, 65534)
            try:
                with objects.load("ingress_guard"):
                    os._exit(1)
            except CapabilityError as error:
                os._exit(0 if "CAP_" in error.hint else 2)
        finally:
            os._exit(3)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
