"""What pydantic is told of a field's parsing and writing: see its validators and serializers of these names.

pydantic's own inspect their function in each field that has them, to find out how to call it and what it returns: a
fifth of the time in which models are built. These say it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Annotated, Any, TypeVar, cast

from pydantic import (
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    TypeAdapter,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
)
from pydantic_core import CoreSchema, core_schema

T = TypeVar("T")


class _OfFunction:
    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function


class BeforeValidator(_OfFunction):
    """What was written goes through a function first."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self._function, handler(source))


class WrapValidator(_OfFunction):
    """A function, which is given what would validate the value without it."""

    _function: Callable[[Any, ValidatorFunctionWrapHandler], Any]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_wrap_validator_function(self._function, handler(source))


class PlainValidator(_OfFunction):
    """A function alone."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self._function)


class ContextValidator(_OfFunction):
    """A function alone, which is given the context of the validation."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        def validate(value: Any, info: ValidationInfo) -> Any:
            return self._function(value, info.context)

        return core_schema.with_info_plain_validator_function(validate)


class _Later:
    """A model whose validator is made when a spec has such a value. Most specs have none of most sections."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        assert isinstance(source, type), f"Later[{source}]: write it of the model alone"
        return core_schema.with_info_plain_validator_function(_Made(source))

    def __get_pydantic_json_schema__(self, core: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        while "schema" in core:  # of validators before it
            core = core["schema"]
        made: _Made = core["function"]["function"]
        # Within another one, because pydantic makes definitions of inner schemas.
        return handler(
            core_schema.no_info_before_validator_function(
                made.adapter.validate_python, _named(made.adapter.core_schema)
            )
        )


def _named(schema: Any) -> Any:
    """With a definition of the model's own in JSON Schema: pydantic dissolves a model that it sees in one place."""
    if "cls" in schema:
        model = schema["cls"]
        return {**schema, "ref": f"{model.__module__}.{model.__qualname__}:{id(model)}"}
    return {**schema, "schema": _named(schema["schema"])} if "schema" in schema else schema


class _Made:
    def __init__(self, source: Any) -> None:
        self._source = source

    @cached_property
    def adapter(self) -> TypeAdapter[Any]:
        return TypeAdapter(self._source)

    def __call__(self, value: Any, info: ValidationInfo) -> Any:
        return self.adapter.validate_python(value, context=info.context)


Later = Annotated[T, _Later()]


class PlainSerializer(_OfFunction):
    """How the value is written."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        schema: Any = handler(source)
        schema["serialization"] = core_schema.plain_serializer_function_ser_schema(self._function)
        return cast(CoreSchema, schema)
