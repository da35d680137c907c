"""A thread enters a namespace and comes back; a namespace is told from another by its cookie."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread

import pytest

from nvi_operator.errors import KernelError, NviError
from nvi_operator.kernel.netns import cookie, create, entered, living, within
from tests.lab.net import until

pytestmark = pytest.mark.netns


def test_a_thread_enters_a_namespace_and_comes_back(name: str) -> None:
    home = cookie()
    with entered(name):
        away = cookie()
        with entered(None):
            assert cookie() == away
    assert away != home
    assert cookie() == home


def test_a_namespace_lives_while_a_name_a_process_or_a_descriptor_keeps_it(name: str) -> None:
    with entered(name):
        named = cookie()
    fd = create()
    with within(fd):
        kept = cookie()
        with subprocess.Popen(["sleep", "1000"]) as inside:
            try:
                os.close(fd)
                until(lambda: {cookie(), named, kept} <= seen(), "all of them")
            finally:
                inside.kill()
    until(lambda: named in (found := seen()) and kept not in found, "its end")


def seen() -> frozenset[int]:
    """Namespaces that live; none where one of another test ends while it is looked at."""
    with suppress(KernelError):
        return living()
    return frozenset()


@contextmanager
def mounted(script: str, *words: str) -> Iterator[None]:
    """While a process of this script, which says when it is ready, has mounts of its own."""
    command = ["unshare", "--mount", "sh", "-ec", f"{script}; echo; exec sleep 1000"]
    with subprocess.Popen([*command, "sh", *words], stdout=subprocess.PIPE) as there:
        assert there.stdout is not None
        try:
            assert there.stdout.readline()
            yield
        finally:
            there.kill()


def test_a_namespace_lives_while_a_mount_of_any_name_keeps_it(tmp_path: Path) -> None:
    place = tmp_path / "of\ttwo words\f, a \\,\x85\n and \udce4"
    place.touch()
    fd = create()
    with within(fd):
        kept = cookie()
    script = 'nsenter --net="/proc/$PPID/fd/$2" mount --bind /proc/self/ns/net "$1"'
    with mounted(script, os.fspath(place), str(fd)):
        os.close(fd)
        until(lambda: kept in seen(), "the mount")


def test_what_hides_a_namespace_is_not_opened(tmp_path: Path) -> None:
    """Whoever has mounts of his own may put there what waits for a writer, or a device that does something."""
    (tmp_path / "namespace").touch()
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    errors: list[str] = []

    def ask() -> None:
        try:
            living()
        except KernelError as error:
            errors.append(str(error))

    asking = Thread(target=ask, daemon=True)
    script = 'cd "$1"; unshare --net mount --bind /proc/self/ns/net namespace; mount --bind fifo namespace'
    with mounted(script, os.fspath(tmp_path)):
        asking.start()
        try:
            until(lambda: not asking.is_alive(), "an answer")
        finally:
            os.close(os.open(fifo, os.O_RDWR))
    assert errors == ["namespaces: listing: one cannot be entered"]


def test_back_after_an_error(name: str) -> None:
    home = cookie()
    with pytest.raises(RuntimeError, match="within"), entered(name):
        raise RuntimeError("within")
    assert cookie() == home


@pytest.mark.parametrize("missing", ["nvins-missing", "../netns", ""])
def test_a_namespace_that_is_not_there(name: str, missing: str) -> None:
    home = cookie()
    with pytest.raises(NviError) as caught, entered(missing):
        pass
    assert name in caught.value.hint
    assert cookie() == home


def test_what_is_no_namespace(name: str) -> None:
    """`ip netns add` leaves an empty file behind where it fails half-way."""
    path = f"/run/netns/{name}-file"
    with open(path, "wb"):
        pass
    try:
        with pytest.raises(NviError, match="entering"), entered(f"{name}-file"):
            pass
    finally:
        os.unlink(path)
