"""The page of a preview: the gateways drawn, and nothing in it that a browser would run or fetch."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

from hypothesis import given, settings

from nvi_operator.view.preview.page import preview_page
from tests.examples import examples
from tests.lab.remote import GitRemote
from tests.unit.preview.conftest import Preview, spec
from tests.unit.preview.test_strangers import refused, texts

OURS = {"html", "head", "meta", "title", "style", "body", "h1", "h2", "h3", "p", "code", "nav", "ul", "li", "a"}
OURS |= {"section", "pre", "span", "div", "details", "summary"}
DRAWN = {"svg", "defs", "marker", "path", "rect", "text", "line", "circle", "g"}


class Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[tuple[str, str]] = set()
        self.text: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes.update((name, value or "") for name, value in attrs)

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@settings(max_examples=examples(100))
@given(texts)
def test_no_word_of_theirs_is_markup(text: str) -> None:
    page = Page(preview_page(refused(text)))
    assert page.tags <= OURS
    assert {name for name, _ in page.attributes} <= {
        "lang",
        "charset",
        "http-equiv",
        "content",
        "name",
        "href",
        "class",
        "id",
    }
    assert all(value.startswith("#g") for name, value in page.attributes if name == "href")


def test_what_changes_is_drawn_and_pointed_at(repository: GitRemote, preview: Preview, tmp_path: Path) -> None:
    repository.commit({"g/a/g.yaml": spec("a"), "g/b/g.yaml": spec("b")})
    repository.commit({"g/a/g.yaml": spec("a", server="192.168.1.81"), "g/b/g.yaml": spec("b", "isp-c")})
    file = tmp_path / "page.html"
    preview("HEAD^", "HEAD", "--path", "g/*", "--html", str(file))
    page = Page(file.read_text(encoding="utf-8"))
    text = "".join(page.text)
    assert page.tags <= OURS | DRAWN
    assert ("class", "box changed") in page.attributes
    assert "~ forward web: 443/tcp on isp-a now goes to 192.168.1.81, no longer to 192.168.1.80" in text
    assert "g/b/g.yaml:9:37: spec.sourceNat[0].as: there is no uplink 'isp-c'" in text
    urls = {value for name, value in page.attributes if "//" in value and name != "xmlns"}
    assert urls == set()
    policy = next(value for name, value in page.attributes if name == "content" and "default-src" in value)
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'")


def test_the_way_that_flows_take_is_drawn_and_so_is_the_one_that_they_took(
    repository: GitRemote, preview: Preview, tmp_path: Path
) -> None:
    repository.commit({"g.yaml": spec()})
    repository.commit({"g.yaml": spec(uplink="isp-b")})
    file = tmp_path / "page.html"
    preview("HEAD^", "HEAD", "--html", str(file))
    text = file.read_text(encoding="utf-8")
    assert text.count('class="way changed strong"') == 3, "lan0 to everyone, to the source of isp-b, to isp-b"
    assert text.count('class="way gone strong"') == 3, "and to isp-a before"
    assert 'class="box gone"' not in text, "which is still there"


def test_ways_that_are_still_taken_are_not_pointed_at(
    repository: GitRemote, preview: Preview, tmp_path: Path
) -> None:
    repository.commit({"g.yaml": spec(uplink="[isp-a, isp-b]")})
    repository.commit({"g.yaml": spec(uplink="isp-a")})
    file = tmp_path / "page.html"
    preview("HEAD^", "HEAD", "--html", str(file))
    text = file.read_text(encoding="utf-8")
    assert text.count('class="way gone strong"') == 3, "lan0 to everyone, to the source of isp-b, to isp-b"
    assert 'class="way changed strong"' not in text
