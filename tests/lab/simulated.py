"""The gateway of a spec in a process that has it to itself, with far ends that send and read packets as they are."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from nvi_operator.language.load.loader import load_directory
from nvi_operator.simulate.isolation import isolated
from nvi_operator.simulate.simulation import SimulatedGateway, standing


def in_gateway(spec: Path, tmp_path: Path, do: Callable[[SimulatedGateway], Any], down: Collection[str] = ()) -> Any:
    """What `do` returns of the spec's gateway, as far as JSON has it."""
    loaded = load_directory(spec)

    def run() -> Any:
        with standing(loaded.name, loaded.spec, down=down) as gateway:
            return do(gateway)

    return apart(tmp_path, run)


def apart(tmp_path: Path, do: Callable[[], Any]) -> Any:
    """What `do` returns on a host that nothing else uses at the same time."""
    result = tmp_path / "result.json"

    def run() -> int:
        result.write_text(json.dumps(do()))
        return 0

    assert isolated(run) == 0
    return json.loads(result.read_text())
