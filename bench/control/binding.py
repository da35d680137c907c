"""libnftables by its Python binding, python3-nftables, in this process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from nftables import Nftables

from bench.control.trial import Given, Meter, timed


def _do(nft: Nftables, text: str) -> None:
    code, _, error = nft.cmd(text)
    assert code == 0, error


@contextmanager
def load(given: Given) -> Iterator[Meter]:
    nft, text = Nftables(), (given.files / "table.nft").read_text(encoding="utf-8")
    yield Meter(timed(lambda: _do(nft, text)))


@contextmanager
def read(given: Given) -> Iterator[Meter]:
    nft = Nftables()
    nft.set_json_output(True)
    yield Meter(timed(lambda: _do(nft, "list table inet nvi")))


@contextmanager
def change(given: Given) -> Iterator[Meter]:
    nft = Nftables()
    texts = iter([file.read_text(encoding="utf-8") for file in sorted(given.files.glob("change*.nft"))])

    def run() -> float:
        text = next(texts)
        return timed(lambda: _do(nft, text))()

    yield Meter(run)
