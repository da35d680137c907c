"""What is measured, as data: steps, who takes part in them, and at which sizes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

SIZES = (100, 1_000, 10_000, 100_000)


@dataclass(frozen=True)
class Step:
    """One piece of work. `who` names each contestant's job (see `trial.py`); ratios are to `reference`'s."""

    title: str
    who: Mapping[str, str]
    reference: str | None = None
    before: str | None = None  # the job that puts the namespace in the state that this begins with
    sizes: tuple[int, ...] = SIZES
    times: int = 1  # that the work is done in one trial
    verify: bool = False  # is the table in the kernel, afterwards, the one that was wanted?


STEPS: Mapping[str, Step] = {
    "load": Step(
        "Port forwards into an empty kernel",
        {
            "nft -f": "commands:load_nft",
            "ours, from the topology": "ours:load_topology",
            "ours, from YAML": "ours:load_yaml",
            "ours, from CSV": "ours:load_csv",
        },
        reference="nft -f",
        verify=True,
    ),
}
