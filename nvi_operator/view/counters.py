"""What the gateway's counters count, by name. Imports nothing: whoever names a counter reads it."""

from __future__ import annotations

MEANINGS = {
    "reinjected": "packets handed back to their in-interface",
    "no_stage_bit": "dropped: stage 1 did not see them (table flushed?)",
    "no_device": "dropped: in-interface unknown or gone",
    "device_down": "dropped: in-interface is down",
    "loop": "dropped: here for the second time (a foreign rule took the mark away?)",
    "backlog": "dropped: more than net.core.netdev_max_backlog waiting on a CPU",
    "other": "dropped: not IP, or too short",
    "stage_1": "packets on their way into the device",
    "stage_2": "packets on their second pass",
    "untracked": "dropped: here for the second time, or taken out of tracking by a foreign rule",
    "spoofed": "dropped: inside source from an uplink, or one of the gateway's own or routed addresses",
    "leak_untranslated": "dropped: inside source about to leave untranslated",
    "leak_uplink": "dropped: source of another uplink",
    "ip_options": "dropped: IPv4 options, which may hold inside addresses (record route, timestamps)",
    "wrong_uplink_own": "dropped: the gateway's own, with the source of another uplink",
    "egress_untranslated": "dropped by the uplink's program: inside source about to leave untranslated",
    "egress_foreign": "dropped by the uplink's program: forwarded, and no source of the uplink",
    "egress_reset": "dropped by the uplink's program: a reset of the gateway itself, while the table is gone",
    "egress_wrong_uplink": "dropped by the uplink's program: the gateway's own, with another uplink's source",
    "not_opened": "dropped: opened by the far side of twiceNat",
    "unanswered": "opened from an uplink to an inside address: no answer leaves untranslated (uplinks: networks)",
    "no_tenant": "dropped: to an address that several tenants have, and neither flow nor in-interface tells whose",
    "ingress_spoofed": "dropped by the interface's program: source is one of the gateway's own addresses",
    "marked_after_confirm": "new flows whose mark hook ran after conntrack confirm",
}


def is_of_rule(counter: str) -> bool:
    """Those of the spec's entries are told as rules."""
    return counter.startswith(("snat_", "dnat_", "redirect_"))
