"""What one entry of a section is called, wherever entries are named."""

from __future__ import annotations

from nvi_operator.language.model.sections import LANGUAGE

_OTHERS = {"": "the gateway itself", "tenants": "tenant"}  # tenants are fields of interfaces


def entry_word(section: str) -> str:
    """`forward`, of `forwards`."""
    declared = LANGUAGE.by_name.get(section)
    return declared.entry or section if declared else _OTHERS.get(section, section)
