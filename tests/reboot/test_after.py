"""The second boot, with the disk of the first."""

from __future__ import annotations

import json

from tests.systemd.test_unit import NVICTL, SPEC, dataplane, has_timer, journal, run, shown, until


def test_what_was_not_confirmed_before_the_reboot_is_given_up_and_the_confirmed_gateway_comes_up() -> None:
    assert "192.168.1.80" in SPEC.read_text(), "what was on trial is what the file says"
    until(lambda: shown("ActiveState") == "active", "the unit started")
    rules_and_routes, table, _ = dataplane()
    assert rules_and_routes
    assert "192.168.1.80" not in table
    assert "not confirmed before the reboot" in journal()
    assert not has_timer()
    revisions = json.loads(run(NVICTL, "history", "-o", "json").stdout)["revisions"]
    assert "returned" in {revision["standing"] for revision in revisions}
