"""The Operator document, as commands find it."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import TYPE_CHECKING

from nvi_operator.cli import options

if TYPE_CHECKING:
    from nvi_operator.language.operator.model import OperatorSpec

CONFIG = Path("/etc/nvi-operator/operator.yaml")


def document(config: Path | None) -> OperatorSpec | None:
    """Of the file that `config` names; left out: of CONFIG, where that is there and the host's gateway is meant.

    Raises NviError.
    """
    from nvi_operator.events.event import KINDS
    from nvi_operator.kernel.netns import is_host
    from nvi_operator.language.operator.load import load_operator

    if config is None and not (CONFIG.exists() and is_host()):
        return None
    return load_operator(config or CONFIG, KINDS)


def config(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--config",
        metavar="FILE",
        type=options.path,
        help=f"the Operator document (default: {CONFIG}, where there is one)",
    )
