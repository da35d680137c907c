"""The Operator document, as commands find it."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import TYPE_CHECKING

from nvi_operator.cli import options

if TYPE_CHECKING:
    from nvi_operator.language.operator.model import OperatorSpec

DIRECTORY = Path("/etc/nvi-operator")
CONFIG = DIRECTORY / "operator.yaml"


def document(config: Path | None, *, host_only: bool = True) -> OperatorSpec | None:
    """Of the file that `config` names; left out: of CONFIG, where that is there. `host_only`: not in other network
    namespaces than the host's. Raises NviError.
    """
    from nvi_operator.kernel.netns import is_host

    if config is None and not (CONFIG.exists() and (is_host() or not host_only)):
        return None
    from nvi_operator.events.kinds import KINDS
    from nvi_operator.language.operator.load import load_operator

    return load_operator(config or CONFIG, KINDS)


def config(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--config",
        metavar="FILE",
        type=options.path,
        help=f"the Operator document (default: {CONFIG}, where there is one)",
    )
