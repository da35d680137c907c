"""What the picture shows: a panel for each of these steps, and a colour for each contestant."""

from __future__ import annotations

from bench.control import steps as s

PANELS = ("load", "read", "change", "verify", "edit", "heal", "rules", "routes")
OURS = {s.OURS, s.TOPOLOGY, s.RECONCILE, s.ELEMENT}  # their lines are thicker
# nvictl's colours are warm.
COLOURS = {
    s.OURS: "#c1272d",
    s.TOPOLOGY: "#c1272d",
    s.RECONCILE: "#c1272d",
    s.ELEMENT: "#c1272d",
    s.RULE: "#e8743b",
    s.ROUTE: "#d9a400",
    s.YAML: "#e8743b",
    s.CSV: "#d9a400",
    s.APPLY: "#7b3f00",
    s.NFT: "#1f5fa8",
    s.IP: "#1f5fa8",
    s.BINDING: "#4fa3d1",
    s.PYROUTE2: "#4fa3d1",
    s.FERM: "#6b7280",
}
