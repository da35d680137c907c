"""libnftables in a process of its own: what it says comes through, and what kills it is an error."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from nvi_operator.errors import KernelError, NftCrashedError
from nvi_operator.kernel.netns import entered
from nvi_operator.kernel.nft import worker as nft_worker
from nvi_operator.kernel.nft.client import Nft
from nvi_operator.kernel.processes import is_own_process

pytestmark = pytest.mark.netns


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


def test_a_refusal_of_nft_is_reported_in_its_words(name: str) -> None:
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
        "from nvi_operator.kernel.nft import worker as nft_worker\n"
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


SERVE = (
    "import os, sys, time, nftables\n"
    "from nvi_operator.kernel.nft import worker as nft_worker\n"
    "real = nftables.Nftables.cmd\n"
    "def cmd(self, text):\n"
    "    code, output, error = real(self, text)\n"
    "    {deed}\n"
    "    return code, output, error\n"
    "nftables.Nftables.cmd = cmd\n"
    "nft_worker.serve(sys.stdin.buffer, sys.stdout.buffer)\n"
)
DEEDS = {
    "hangs": ("time.sleep(600)", "did not answer within"),
    "cuts its listing short": ("output = output[: len(output) // 2]", "printed no listing"),
    "prints rubbish": ("output = chr(0xFFFD) * 9", "printed no listing"),
    "prints something else": ("output = '[1, 2]'", "printed no listing"),
    "leaves its version out": ("output = '{\"nftables\": []}'", "printed no listing"),
    "prints nothing": ("output = ''", "printed no listing"),
    "ends amid its answer": ("os.write(1, bytes(7)); os._exit(0)", "ended with 0"),
}


@pytest.mark.parametrize("deed", DEEDS)
def test_what_is_no_answer_is_an_error_in_time(name: str, deed: str) -> None:
    code, message = DEEDS[deed]
    subprocess.run(["ip", "netns", "exec", name, "nft", "add table inet nvi"], check=True)
    seconds = 0.5 if deed == "hangs" else 20.0  # Python may start slowly
    with entered(name), Nft((sys.executable, "-c", SERVE.format(deed=code)), seconds=seconds) as nft:
        with pytest.raises(NftCrashedError, match=message) as wrong:
            nft.list_skeleton("nvi")
        assert "made by a newer nft?" in wrong.value.hint


def test_a_worker_that_does_not_even_read_is_given_up(name: str) -> None:
    """And a text that no pipe holds is not waited for either."""
    with entered(name), Nft((sys.executable, "-c", "import time; time.sleep(600)"), seconds=0.2) as nft:
        with pytest.raises(NftCrashedError, match="did not answer"):
            nft.apply("# " + "x" * 100_000 + "\n")
        assert nft._worker is None


def test_what_libnftables_prints_by_itself_is_not_taken_for_an_answer(name: str, tmp_path: Path) -> None:
    chatty = tmp_path / "chatty.py"
    chatty.write_text(
        "import os, runpy, nftables\n"
        "real = nftables.Nftables.cmd\n"
        "def cmd(self, text):\n"
        "    os.write(1, b'netlink: something odd')\n"
        "    return real(self, text)\n"
        "nftables.Nftables.cmd = cmd\n"
        f"runpy.run_path({nft_worker.__file__!r}, run_name='__main__')\n"
    )
    with entered(name), Nft((sys.executable, str(chatty))) as nft:
        nft.apply("add table inet nvi\n")
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
        assert is_own_process(pid)
        assert Path(f"/proc/{pid}").exists()
    assert not Path(f"/proc/{pid}").exists()
