"""A preview as JSON."""

from __future__ import annotations

from typing import Any

from nvi_operator.preview.model import GatewayChange, Preview, RefusedPreview
from nvi_operator.view.error import error_json
from nvi_operator.view.plan import plan_json
from nvi_operator.view.preview.flows import flow_json


def preview_json(preview: Preview) -> dict[str, Any]:
    """Stable for programs: each gateway with its plan, as `nvictl plan -o json` has it."""
    return {
        "base": preview.base,
        "head": preview.head,
        "gateways": [_change(change) for change in preview.changes],
        "same": list(preview.same),
        "refused": [_refused(refused) for refused in preview.refused],
    }


def _change(change: GatewayChange) -> dict[str, Any]:
    return {
        "directory": change.directory,
        "movedFrom": change.moved or None,
        "change": change.word,
        "flows": [flow_json(flow) for flow in change.flows],
        **plan_json(change.name, change.plan, before=change.before),
    }


def _refused(refused: RefusedPreview) -> dict[str, Any]:
    return {
        "directory": refused.directory,
        "gateway": refused.gateway or None,
        "side": "base" if refused.is_base else "head",
        **error_json(refused.error),
    }
