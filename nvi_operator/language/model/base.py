"""What all models of the spec language have in common."""

from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel
from pydantic.fields import FieldInfo

DESCRIPTION = "What it is for; for people only."
ENABLED = "false: it is checked by itself, and otherwise counts as if it were not there."


class Model(BaseModel):
    """Frozen, strict, camelCase in YAML, no unknown fields.

    Modules of models have no `from __future__ import annotations`: pydantic would compile and evaluate each text when
    a command starts (docs/adr/0024-start-up.md).
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        defer_build=True,  # until a value of it is validated: see `Later`
        alias_generator=to_camel,  # and by no other name: source_nat must not pass beside sourceNat
        serialize_by_alias=True,
    )


class Entry(Model):
    """One of several of a section."""

    description: str = Field("", description=DESCRIPTION)
    enabled: bool = Field(True, description=ENABLED)


def is_model(item: Any) -> bool:
    """Is it a class of the spec language?"""
    return isinstance(item, type) and (issubclass(item, BaseModel) or hasattr(item, "__pydantic_config__"))


def model_of(annotation: Any) -> Any:
    """The class of the spec language that an annotation is about, which may have short forms; None: of none."""
    found = get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation
    return found if is_model(found) else None


def fields_of(model: Any) -> Mapping[str, FieldInfo]:
    """The fields of a model of the spec language, by the names that they have in YAML."""
    if issubclass(model, BaseModel):
        # pydantic 2.10, which Debian 13 has, asks the generator only when it builds the model.
        return {str(field.alias or to_camel(name)): field for name, field in model.model_fields.items()}
    hints = get_type_hints(model, include_extras=True)
    found = [
        FieldInfo.from_annotation(hints[item.name])
        if item.default is MISSING
        else FieldInfo.from_annotated_attribute(hints[item.name], item.default)
        for item in fields(model)
    ]
    return {str(info.alias or item.name): info for item, info in zip(fields(model), found, strict=True)}


def attributes_of(model: Any) -> Mapping[str, str]:
    """What the fields are called in Python, by the names that they have in YAML."""
    names = model.model_fields if issubclass(model, BaseModel) else [item.name for item in fields(model)]
    return dict(zip(fields_of(model), names, strict=True))
