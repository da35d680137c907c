"""What the generator draws: a word of the spec that it does not know is one that no random packet has met."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from random import Random
from typing import Any, get_args

from nvi_operator.language.model.base import fields_of, is_model
from nvi_operator.language.model.gateway import GatewaySpec
from tests.differential.generate.networks import draw_networks
from tests.differential.generate.specs import draw_spec

SPECS = 150  # of one seed, so that the words of rare entries are among them

WITHOUT_PACKETS = {
    "assert": "says what has to hold",
    "checks": "are probes of an apply that is to be confirmed",
    "drift": "is what the daemon does about changes of others",
    "host": "chooses the document",
    "protect": "is asked before an apply",
    "vars": "are replaced when the spec is read",
    "forwardsFrom": "names a file of the same entries",
    "staticFrom": "names a file of the same entries",
    "twiceNatFrom": "names a file of the same entries",
    "health": "a case says what probes found out",
    "virtual": "says which addresses may be absent without a fault",
}


def test_every_word_that_packets_can_feel_is_drawn() -> None:
    drawn = set[str]()
    for number in range(SPECS):
        random = Random(f"words/{number}")
        drawn.update(_words_of(draw_spec(random, draw_networks(random))[1]))
    assert sorted(set(_words_in(GatewaySpec)) - drawn) == []


def _words_in(model: Any) -> Iterator[str]:
    """The names in YAML of the fields of a model, and of the models that it holds."""
    for name, field in fields_of(model).items():
        if name in WITHOUT_PACKETS:
            continue
        yield name
        for each in _models(field.annotation):
            yield from _words_in(each)


def _models(annotation: Any) -> Iterator[Any]:
    if is_model(annotation):
        yield annotation
    for argument in get_args(annotation):
        yield from _models(argument)


def _words_of(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield str(key)
            yield from _words_of(each)
    elif isinstance(value, list):
        for each in value:
            yield from _words_of(each)
