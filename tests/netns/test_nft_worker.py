"""libnftables in a process of its own: what it says comes through, and what kills it is an error."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nvi_operator.errors import KernelError
from nvi_operator.kernel.netns import entered
from nvi_operator.kernel.nft import Nft
from nvi_operator.kernel.processes import is_ours

pytestmark = pytest.mark.netns


@pytest.fixture
def name() -> Iterator[str]:
    made = f"nvi-wire-worker-{os.getpid()}"
    subprocess.run(["ip", "netns", "add", made], check=True)
    yield made
    subprocess.run(["ip", "netns", "del", made], check=True)


def tables(nft: Nft) -> list[str]:
    return [entry["table"]["name"] for entry in nft.list_skeleton("nvi") if "table" in entry]


def test_it_works_where_its_caller_is(name: str) -> None:
    with entered(name), Nft() as nft:
        assert tables(nft) == []
        nft.check("add table inet nvi\n")
        assert tables(nft) == []
        nft.apply("add table inet nvi\n")
    with entered(name), Nft() as nft:
        assert tables(nft) == ["nvi"]
    with Nft() as nft:
        assert tables(nft) == []


def test_it_may_be_ended_and_is_started_again_when_it_is_asked(name: str) -> None:
    with entered(name), Nft() as nft:
        nft.apply("add table inet nvi\n")
        nft.close()
        assert tables(nft) == ["nvi"]


def test_what_nft_refuses_is_said_in_its_words(name: str) -> None:
    with entered(name), Nft() as nft:
        with pytest.raises(KernelError, match="syntax error"):
            nft.apply("add nonsense\n")
        nft.apply("add table inet nvi\n")
        with pytest.raises(KernelError, match=r"check: .*No such file or directory"):
            nft.check("add rule inet nvi nowhere accept\n")


def test_a_crash_is_an_error_and_the_next_call_works(name: str, tmp_path: Path) -> None:
    """A binding that aborts when it is told a word, as 1.0.6 does of some tables of newer versions."""
    crashing = (
        "import os, nftables\n"
        "from nvi_operator.kernel import nft_worker\n"
        "real = nftables.Nftables.cmd\n"
        "def cmd(self, text):\n"
        "    return os.abort() if 'crash' in text else real(self, text)\n"
        "nftables.Nftables.cmd = cmd\n"
        "import sys; nft_worker.serve(sys.stdin.buffer, sys.stdout.buffer)\n"
    )
    with entered(name), Nft((sys.executable, "-c", crashing)) as nft:
        nft.apply("add table inet nvi\n")
        with pytest.raises(KernelError, match="apply: libnftables died of SIGABRT") as died:
            nft.apply("# crash\n")
        assert died.value.retryable
        assert died.value.hint
        assert tables(nft) == ["nvi"]


def test_a_large_text_and_a_large_listing_come_through(name: str) -> None:
    chains = "".join(f'add chain inet nvi c{n} {{ comment "{"x" * 100}"; }}\n' for n in range(2000))
    with entered(name), Nft() as nft:
        nft.apply("add table inet nvi\n" + chains)
        assert len(nft.list_skeleton("nvi")) > 2000


def test_it_is_one_of_us_and_ends_with_its_owner(name: str) -> None:
    with entered(name), Nft() as nft:
        tables(nft)
        assert nft._worker
        pid = nft._worker.pid
        assert is_ours(pid)
        assert Path(f"/proc/{pid}").exists()
    assert not Path(f"/proc/{pid}").exists()
