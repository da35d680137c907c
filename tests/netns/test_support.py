"""`nvictl support`: what a report of a gateway has in it."""

from __future__ import annotations

import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.lab import GatewayHost
from tests.lab.command import ROOT
from tests.netns.scenarios import spec

pytestmark = pytest.mark.netns

EVERYTHING = {
    *("doctor.txt", "plan.txt", "status.json", "history.txt", "events.txt", "render.txt", "README.txt"),
    *(
        "kernel/ruleset.txt",
        "kernel/rules.txt",
        "kernel/routes6.txt",
        "kernel/netstat.txt",
        "journal/nvi-operator.txt",
    ),
    *("versions/nvictl.txt", "versions/kernel.txt", "spec/gateway.yaml"),
}


@pytest.fixture
def public() -> Iterator[Path]:
    """A directory that every user may write to."""
    with TemporaryDirectory(prefix="nvi-report-") as name:
        Path(name).chmod(0o777)
        yield Path(name)


def contents(path: Path) -> dict[str, str]:
    with tarfile.open(path) as archive:
        files = {member.name.partition("/")[2]: archive.extractfile(member) for member in archive}
        return {name: file.read().decode() for name, file in files.items() if file}


def test_a_report_of_a_gateway_is_one_file_that_can_be_redacted(gateway: GatewayHost, tmp_path: Path) -> None:
    public = "93.184.216.34"
    gateway.apply(spec())
    gateway.host.ip(f"address add {public}/29 dev wan0", "route add 93.184.220.0/24 via 203.0.113.1")
    directory = gateway.spec(spec())
    (directory / "more.yaml").write_text("# password: hunter2\n")
    plain, redacted = tmp_path / "plain.tar.gz", tmp_path / "redacted.tar.gz"
    gateway.nvictl("support", directory, "--output", plain)
    assert plain.stat().st_mode & 0o777 == 0o600
    told = contents(plain)
    assert told.keys() >= EVERYTHING
    assert "table inet nvi" in told["kernel/ruleset.txt"]
    assert "uplink isp-a: 2 routes changed" in told["plan.txt"]
    assert public in told["kernel/addresses.txt"]
    assert "hunter2" not in told["spec/more.yaml"], "secrets are removed in any case"

    gateway.nvictl("support", directory, "--redact", "--output", redacted)
    told = contents(redacted)
    assert told.keys() >= EVERYTHING
    assert not [name for name, text in told.items() if public in text or "93.184.220" in text]
    assert "198.18.1.34/29" in told["kernel/addresses.txt"]
    (directory / "more.yaml").unlink()
    for name in ("plain", "redacted"):  # with the spec of either, the state is what a plan can be made against
        state, own = tmp_path / f"{name}.json", tmp_path / name
        own.mkdir()
        told = contents(tmp_path / f"{name}.tar.gz")
        state.write_text(told["state.json"])
        (own / "gateway.yaml").write_text(told["spec/gateway.yaml"])
        assert "uplink isp-a: 2 routes changed" in gateway.nvictl("plan", "--against", state, own).stdout
    again = gateway.nvictl("support", "--output", plain, check=False)
    assert (again.returncode, "File exists" in again.stderr) == (1, True)


def test_without_root_it_holds_what_a_user_may_see_and_says_what_not(gateway: GatewayHost, public: Path) -> None:
    path = public / "report.tar.gz"
    done = gateway.host.run(
        *("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "env", f"PYTHONPATH={ROOT}"),
        *(sys.executable, "-m", "nvi_operator", "support", str(ROOT / "examples/dual-wan"), "--output", str(path)),
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    told = contents(path)
    assert told.keys() >= EVERYTHING
    assert "wan0" in told["kernel/links.txt"]
    assert "exit code" in next(line for line in told["README.txt"].splitlines() if "kernel/ruleset.txt" in line)


def test_what_hangs_or_is_long_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nvi_operator.cli import report

    monkeypatch.setattr(report, "SECONDS", 0.5)
    monkeypatch.setattr(report, "LARGEST", 1000)
    slow = report.of_program("slow", "sh", "-c", "echo begun; sleep 60 & wait")
    assert ("begun" in slow.text, slow.note) == (True, "not done within 0.5 s")
    long = report.of_program("long", "seq", "100000")
    assert (len(long.text) < 1200, long.text.endswith("\n100000\n"), "left out" in long.note) == (True, True, True)
    assert report.of_program("none", "no-such-program").note == "exit code 127"
