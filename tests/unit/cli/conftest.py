from __future__ import annotations

import pytest

from nvi_operator.cli import applying, confirming
from nvi_operator.kernel import kernel as kernel_module
from nvi_operator.language.load.loader import load_directory
from nvi_operator.language.model.settings import Numbers
from nvi_operator.testing import FakeKernel
from tests.unit.cli.example import EXAMPLE, Handle


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Handle:
    """Commands run in this process, on a host that has every interface of the example."""
    spec = load_directory(EXAMPLE).spec
    fake = Handle(FakeKernel.for_spec(spec).facts_)

    def handle(numbers: Numbers, **_: object) -> Handle:
        return fake

    for module in (kernel_module, applying, confirming):
        monkeypatch.setattr(module, "Kernel", handle)
    monkeypatch.setenv("COLUMNS", "200")
    return fake
