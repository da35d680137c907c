"""What packaging/ says agrees with the project, and systemd finds no mistake in the unit."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
UNITS = sorted(ROOT.glob("packaging/*.service"))
DEBIAN = ROOT / "packaging/debian"
EXPOSURE = 40  # tenths, of systemd-analyze(1)
# As Debian calls what it has in a version that will do.
DEBIAN_NAMES = {"rich": "python3-rich", "pyyaml": "python3-yaml"}


def wheels() -> set[str]:
    lines = (DEBIAN / "wheels.txt").read_text().splitlines()
    return {line.partition("==")[0] for line in lines if not line.startswith("#")}


def test_each_dependency_is_debians_or_a_wheel_with_a_hash() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    names = {re.split(r"[><=]", each)[0].lower() for each in declared}
    control = (DEBIAN / "control").read_text()
    for name in names - wheels():
        assert DEBIAN_NAMES[name] in control, name
    assert all("--hash=sha256:" in line for line in (DEBIAN / "wheels.txt").read_text().splitlines()[1:])


def test_every_wheel_is_unpacked() -> None:
    rules = (DEBIAN / "rules").read_text()
    unpacked = " ".join(re.findall(r"^(?:ONLY_311|ALWAYS) *:= (.*)$", rules, re.MULTILINE))
    assert set(unpacked.split()) == wheels()


def test_the_packages_changelog_is_that_of_the_project() -> None:
    place = importlib.util.spec_from_file_location("changelog", ROOT / "packaging/changelog.py")
    assert place
    assert place.loader
    module = importlib.util.module_from_spec(place)
    place.loader.exec_module(module)
    markdown = "# Changelog\n\n## 0.2.0 (unreleased)\n\n- One `thing`\n  more.\n\n## 0.1.0\n\nWords.\n\n- Another.\n"
    text = "\n".join(module.entries(markdown, "0.2.0~git1", "Sat, 28 Nov 2026 20:00:00 +0000"))
    assert text.splitlines()[:3] == [
        "nvi-operator (0.2.0~git1) UNRELEASED; urgency=medium",
        "",
        "  * One `thing` more.",
    ]
    assert "nvi-operator (0.1.0) unstable; urgency=medium\n\n  * Another.\n\n -- " in text
    assert module.entries((ROOT / "CHANGELOG.md").read_text(), "1", "now")


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_a_unit_has_no_mistake_and_is_confined(unit: Path, tmp_path: Path) -> None:
    path = tmp_path / unit.name
    path.write_text(re.sub(r"/opt/\S+/nvictl", "/bin/true", unit.read_text()))
    verified = run("systemd-analyze", "verify", "--man=no", str(path))
    assert (verified.returncode, unit.name in verified.stdout + verified.stderr) == (0, False), verified.stderr
    scored = run("systemd-analyze", "security", "--offline=true", f"--threshold={EXPOSURE}", str(path))
    assert scored.returncode == 0, scored.stdout.splitlines()[-1]


# Modules that only one process finds, as those in /usr/lib/nvi-operator.
ELSEWHERE = """
import subprocess, sys
sys.path[:0] = sys.argv[1].split(":")
from nvi_operator.kernel.again import module_command
sys.exit(subprocess.run(module_command("nvi_operator", "--version")).returncode)
"""


def test_a_process_that_is_started_again_has_the_same_modules(tmp_path: Path) -> None:
    paths = [path for path in sys.path if "site-packages" in path or "dist-packages" in path]
    (tmp_path / "nvi_operator").symlink_to(ROOT / "nvi_operator")
    python = Path("/usr/bin/python3")
    assert "ModuleNotFoundError" in run(str(python), "-I", "-m", "nvi_operator", "--version").stderr.replace(
        "No module named", "ModuleNotFoundError"
    )
    done = run(str(python), "-I", "-c", ELSEWHERE, ":".join([str(tmp_path), *paths]))
    assert (done.returncode, done.stdout.partition(" ")[0]) == (0, "nvictl"), done.stderr


def test_the_unit_follows_the_operator_document_where_there_is_one() -> None:
    unit = (ROOT / "packaging/nvi-operator.service").read_text()
    assert re.findall(r"^ExecStart=\S*/nvictl (.*)$", unit, re.MULTILINE) == ["run"]


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, capture_output=True, text=True, check=False)
