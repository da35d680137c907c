"""The page of a preview, opened in a browser: it is drawn, and nothing of a stranger is run."""

from __future__ import annotations

import os
import struct
import subprocess
from pathlib import Path

import pytest

from tests.lab.remote import GitRemote
from tests.unit.preview.conftest import Preview, preview, repository, spec

__all__ = ["preview", "repository"]
BROWSER = os.environ["NVI_BROWSER"]


def browse(page: Path, *options: str) -> str:
    """Chromium without a window; what it prints. Its sandbox needs rights that root in a container has not."""
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", *options, page.as_uri()]
    environment = {**os.environ, "HOME": str(page.parent)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout


@pytest.fixture
def page(repository: GitRemote, preview: Preview, tmp_path: Path) -> Path:
    repository.commit({"g/a/g.yaml": spec("a"), "g/b/g.yaml": spec("b")})
    nasty = "<img src=x onerror=document.title=1><script>document.title=1</script>"
    repository.commit({"g/a/g.yaml": spec("a", "isp-b"), "g/b/g.yaml": spec("b", f'"{nasty}"')})
    file = tmp_path / "page.html"
    preview("HEAD^", "HEAD", "--path", "g/*", "--html", str(file))
    return file


def test_the_browser_has_the_page_as_it_was_written(page: Path) -> None:
    found = browse(page, "--dump-dom")
    assert "<title>Gateways: 1 gateway changes, 1 refused</title>" in found
    assert "<img" not in found
    assert "<script" not in found
    assert found.count("<svg") == 1
    assert "&lt;img src=x onerror=" in found


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_drawn(page: Path, scheme: str) -> None:
    """The picture is left in build/preview-SCHEME.png, to be looked at."""
    picture = Path(__file__).resolve().parents[2] / "build" / f"preview-{scheme}.png"
    picture.parent.mkdir(exist_ok=True)
    dark = ("--blink-settings=preferredColorScheme=0",) if scheme == "dark" else ()
    browse(page, f"--screenshot={picture}", "--window-size=1280,1400", *dark)
    data = picture.read_bytes()
    assert data.startswith(b"\x89PNG")
    assert struct.unpack(">II", data[16:24]) == (1280, 1400)
    assert len(data) > 20_000, "blank"
