"""A thread enters a namespace and comes back; a namespace is told from another by its cookie."""

from __future__ import annotations

import os
import subprocess

import pytest

from nvi_operator.errors import NviError
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
                until(lambda: {cookie(), named, kept} <= living(), "all of them")
            finally:
                inside.kill()
    until(lambda: kept not in living(), "its end")
    assert named in living()


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
