"""The sockets and files that drivers share, in the network namespace of the thread that first asks for each."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING, Any

from nvi_operator.kernel.bpf.generations import Generations
from nvi_operator.kernel.kmod.device import teach_pyroute2
from nvi_operator.kernel.netlink.rtnetlink import Rtnetlink
from nvi_operator.kernel.netns import cookie
from nvi_operator.language.model.settings import Numbers
from nvi_operator.store.saved_settings import SavedSettings

if TYPE_CHECKING:
    from nvi_operator.kernel.netlink.events import KernelEvents


class Handles:
    """Each is opened when it is needed. `release` ends them after a reconcile: pyroute2 leaks a little per request on
    an open socket.
    """

    def __init__(
        self,
        numbers: Numbers,
        *,
        lock_files: Callable[[], tuple[int, ...]],
        events: KernelEvents | None,
    ) -> None:
        """`lock_files` are descriptors of the gateway's lock, which processes that change something share. `events`
        are the kernel's reports, where something listens to them.
        """
        self.numbers = numbers
        self.lock_files = lock_files
        self.events = events

    @cached_property
    def cookie(self) -> int:
        return cookie()

    @cached_property
    def ipr(self) -> Any:
        """pyroute2's IPRoute, to change links and tc. What is listed is listed by `rtnetlink`."""
        return _OnDemand(open_iproute)

    @cached_property
    def rtnetlink(self) -> Rtnetlink:
        return Rtnetlink()

    @cached_property
    def generations(self) -> Generations:
        """The generations of the flow cache that was found last; they stay after `release`."""
        return Generations()

    @cached_property
    def saved(self) -> SavedSettings:
        return SavedSettings(self.cookie)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was found to be wrong with the record of settings."""
        return self.saved.warnings if "saved" in self.__dict__ else ()

    def release(self) -> None:
        """Close everything; what is asked for again is opened again."""
        for name in ("ipr", "rtnetlink"):
            if name in self.__dict__:
                self.__dict__.pop(name).close()
        self.__dict__.pop("saved", None)


class _OnDemand:
    """Made when one of its methods is first called: to import pyroute2 takes a third of the time of a `plan`, which
    needs none of it.
    """

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._made: Any = None

    def __getattr__(self, name: str) -> Any:
        if self._made is None:
            self._made = self._make()
        return getattr(self._made, name)

    def close(self) -> None:
        if self._made is not None:
            self._made.close()


def open_iproute() -> Any:
    """pyroute2 with what the operator adds to it. Close it."""
    with _only_what_is_needed("pyroute2"):
        from pyroute2.iproute import IPRoute

        teach_pyroute2()  # before its first use, in which it reads what there is to know
    return IPRoute(ext_ack=True)


@contextmanager
def _only_what_is_needed(package: str) -> Iterator[None]:
    """Within, parts of a package are imported without its `__init__`, unless that was.

    pyroute2's imports all of the library, NDB, 9P and WLAN included: 120 ms of CPU, and 4 MiB of a daemon.
    """
    if package in sys.modules:
        yield
        return
    bare = ModuleType(package)
    found = find_spec(package)
    bare.__path__ = (found and found.submodule_search_locations) or []
    sys.modules[package] = bare
    try:
        yield
    finally:
        del sys.modules[package]  # who imports the package gets the whole of it
