"""Prometheus takes the alerts and the metrics as they are meant."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

from nvi_operator.events.event import Applied, Healed
from tests.unit.daemon.test_metrics import PACKAGING, measured, on_trial

RULES = PACKAGING / "prometheus/nvi-operator.rules.yml"
CASES = PACKAGING / "prometheus/nvi-operator.test.yml"


def promtool(*arguments: str, text: str = "") -> str:
    """What it prints, of which nothing is a complaint."""
    command = [os.environ["NVI_PROMTOOL"], *arguments]
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_rules_are_valid() -> None:
    alerts = re.findall(r"- alert: (\w+)", RULES.read_text(encoding="utf-8"))
    assert f"SUCCESS: {len(alerts)} rules found" in promtool("check", "rules", "--lint-fatal", str(RULES))


def test_each_alert_fires_when_it_should_and_not_before() -> None:
    assert "SUCCESS" in promtool("test", "rules", str(CASES))


def test_the_metrics_are_named_by_the_conventions() -> None:
    events = (Applied(entries=(), done="1 created", steps=1, seconds=0.25), Healed(steps=1, seconds=0.002))
    assert promtool("check", "metrics", text=measured(on_trial(), *events)[0]) == ""


def test_prometheus_can_evaluate_what_the_dashboard_asks(tmp_path: Path) -> None:
    """As recording rules, with values for Grafana's variables."""
    board = json.loads((PACKAGING / "grafana/nvi-operator.json").read_text(encoding="utf-8"))
    asked = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    filled = [re.sub(r"\$__\w+", "5m", expr).replace("$instance", "edge") for expr in asked]
    assert "$" not in "".join(filled)
    rules = [{"record": f"panel:{number}", "expr": expr} for number, expr in enumerate(filled)]
    file = tmp_path / "rules.yml"
    file.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}), encoding="utf-8")
    assert f"SUCCESS: {len(rules)} rules found" in promtool("check", "rules", str(file))
