"""How a module of this program is started in a process of its own: isolated (`python -I`), with the modules that this
process has. An installation may have them where no other program looks, as the Debian package does.
"""

from __future__ import annotations

import os
import sys

_START = (
    "import runpy, sys\n"
    "paths, module = sys.argv[1:3]\n"
    "sys.path[:] = paths.split(':')\n"
    "sys.argv[:3] = [module]\n"
    "runpy.run_module(module, run_name='__main__', alter_sys=True)\n"
)


def module_command(module: str, *arguments: str) -> tuple[str, ...]:
    """The command line of `python -m MODULE ARGUMENTS`."""
    paths = os.pathsep.join(path for path in sys.path if os.path.isabs(path))
    return (sys.executable, "-I", "-c", _START, paths, module, *arguments)
