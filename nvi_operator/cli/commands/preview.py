"""`nvictl preview`: what a change of specs means, between two git revisions or directories."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from nvi_operator.cli import options
from nvi_operator.cli.command import Command, Exits
from nvi_operator.cli.context import Context
from nvi_operator.cli.output import STDOUT, show_pieces, terminal_width, write_file

if TYPE_CHECKING:
    from nvi_operator.preview.gateways import Side
    from nvi_operator.preview.model import Preview

_HERE = "./"
_REPORTS = ("markdown", "html", "code_quality")


def run(context: Context) -> int:
    from nvi_operator.preview.changes import preview
    from nvi_operator.view.preview.plain import preview_json
    from nvi_operator.view.preview.problems import error_lines, workflow_commands
    from nvi_operator.view.preview.text import preview_pieces

    arguments = context.arguments
    on_stdout = _on_stdout(arguments)
    base, head = _sides(arguments.base, arguments.head)
    draws = arguments.html is not None
    if arguments.live:
        from nvi_operator.cli.live_preview import facts_here, with_flows_here

        found = with_flows_here(preview(base, head, arguments.path or ["."], facts_here, draws=draws))
    else:
        found = preview(base, head, arguments.path or ["."], draws=draws)
    _write_files(context, found)
    if arguments.annotations:
        sys.stdout.writelines(f"{line}\n" for line in workflow_commands(found))
        return 1 if found.is_wrong else 0
    sys.stderr.writelines(f"{line}\n" for line in error_lines(found))
    if not on_stdout or arguments.output == "json":
        show_pieces(arguments, lambda: preview_json(found), preview_pieces(found, terminal_width()))
    return 1 if found.is_wrong else 0


def _on_stdout(arguments: Namespace) -> list[str]:
    """The options that ask for something on stdout instead of the text: there is room for one."""
    found = [f"--{name.replace('_', '-')} -" for name in _REPORTS if getattr(arguments, name) == STDOUT]
    found += ["--annotations"] if arguments.annotations else []
    found += ["-o json"] if arguments.output == "json" else []
    if len(found) > 1:
        from nvi_operator.errors import NviError

        raise NviError(f"{found[0]} and {found[1]}: both are for stdout", hint="name a file for one of them")
    return found


def _sides(*names: str) -> list[Side]:
    """A name that cannot be a revision's is a directory's: no branch can make one of the other."""
    from nvi_operator.sources.git.local import LocalRepository
    from nvi_operator.sources.side import DirectorySide, RevisionSide

    repository = None
    sides: list[Side] = []
    for name in names:
        if name in (".", "..") or name.startswith(("/", "./", "../")):
            sides.append(DirectorySide(Path(name)))
        else:
            repository = repository or LocalRepository.around(Path())
            sides.append(RevisionSide(repository.tree(name)))
    return sides


def _write_files(context: Context, found: Preview) -> None:
    import json

    from nvi_operator.view.preview.markdown import preview_markdown
    from nvi_operator.view.preview.page import preview_page
    from nvi_operator.view.preview.problems import code_quality

    made: tuple[Callable[[], str], ...] = (
        lambda: preview_markdown(found),
        lambda: preview_page(found),
        lambda: json.dumps(code_quality(found), indent=2) + "\n",
    )
    for name, text in zip(_REPORTS, made, strict=True):
        if (file := getattr(context.arguments, name)) is not None:
            write_file(file, text())


def _revisions(parser: ArgumentParser) -> None:
    parser.add_argument(
        "base",
        metavar="BASE",
        type=options.non_empty,
        help="from this git revision; a directory is written ./DIR, or with its whole path",
    )
    parser.add_argument(
        "head", metavar="HEAD", nargs="?", type=options.non_empty, default=_HERE, help="to this one (default: ./)"
    )
    parser.add_argument(
        "--path",
        metavar="DIR",
        action="append",
        type=options.non_empty,
        help="directory of a spec, below the current one (default: .); 'gateways/*' for several; may be repeated",
    )


def _live(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--live",
        action="store_true",
        help="on the gateway: go by its interfaces and routes, and count the live flows that the change strands",
    )


def _files(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--markdown",
        metavar="FILE",
        type=options.path,
        help="write a comment for a pull request; here and in the next two, `-` is stdout, in place of the text",
    )
    parser.add_argument("--html", metavar="FILE", type=options.path, help="write a page with the gateways drawn")
    parser.add_argument(
        "--code-quality",
        metavar="FILE",
        type=options.path,
        help="write what is wrong as GitLab's code quality report",
    )
    parser.add_argument(
        "--annotations",
        action="store_true",
        help="print what is wrong, and nothing else, as annotations of GitHub's and Forgejo's workflows",
    )


COMMAND = Command(
    "preview",
    "show what a change means, between git revisions or directories: plans of all gateways; needs no root",
    (_revisions, _live, _files, options.netns, options.output),
    run,
    Exits("0 done, 1 error, or a spec after the change is wrong"),
)
