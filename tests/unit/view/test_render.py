"""What `render` prints is a shell script, to the last line."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest

from nvi_operator.kind import command
from nvi_operator.kinds import KINDS
from nvi_operator.language.load.loader import load_directory, load_texts
from nvi_operator.plan.compile import desired_state
from nvi_operator.topology.assume import assume_missing
from nvi_operator.topology.facts import Facts
from nvi_operator.topology.resolve import resolve
from nvi_operator.view.render import render_lines

EXAMPLES = sorted(
    path for path in (Path(__file__).parents[3] / "examples").iterdir() if (path / "gateway.yaml").exists()
)
SPEC = """
apiVersion: nvi-operator/v1
kind: Gateway
metadata: {{ name: edge }}
spec:
  dataplane: {{ type: {type}, flowCache: auto }}
  interfaces: {{ lan0: {{ networks: 192.168.1.0/24 }} }}
  uplinks:
    isp-a:
      interface: wan0
      nextHop: 203.0.113.1
      addresses: 203.0.113.2
      routed: 203.0.113.5
      announce: 203.0.113.5
"""


def rendered(path: Path | None = None, *, type_: str = "bpf") -> list[str]:
    loaded = load_directory(path) if path else load_texts({"g.yaml": SPEC.format(type=type_)})
    topology = resolve(loaded.name, loaded.spec, assume_missing(loaded.spec, Facts("host")))
    return list(render_lines(topology, desired_state(topology), assumed=True))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_every_line_is_a_comment_or_a_command_that_the_shell_can_read(example: Path) -> None:
    lines = rendered(example)
    script = "".join(f"{line}\n" for line in lines)
    done = subprocess.run(["sh", "-n"], input=script, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    begin, end = lines.index("nft -f - <<'EOF'"), lines.index("EOF")
    words = [shlex.split(line, comments=True) for line in (*lines[:begin], *lines[end + 1 :])]
    assert {line[0] for line in words if line} <= {"ip", "modprobe", "sysctl"}


def test_every_kind_is_there_and_one_that_no_command_makes_says_so() -> None:
    lines = rendered()
    without = [line for line in lines if line.endswith("no command makes it, nvictl apply does")]
    assert {line.split()[1] for line in without} == {"wan0", "lan0", "nvi0"}
    titles = {line[2:] for line in lines if line.startswith("# ")}
    assert {kind.title for kind in KINDS.values() if kind.name != "module"} <= titles
    assert "modprobe nvi" in rendered(type_="kmod")
    assert "ip neigh add proxy 203.0.113.5 dev wan0 protocol 78" in lines


def test_nothing_in_a_word_of_a_command_is_interpreted_by_the_shell() -> None:
    line = command("printf", "%s|%s", "$(id) ;'\"", "`id`")
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=True)
    assert done.stdout == "$(id) ;'\"|`id`"
