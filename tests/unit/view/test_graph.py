"""The picture of a spec: what is in it, that it can be read, and that nothing of a spec gets out of its text."""

from __future__ import annotations

import re
from itertools import combinations
from pathlib import Path
from xml.etree import ElementTree

import pytest

from nvi_operator.cli import main
from nvi_operator.language.load.loader import load_directory, load_texts
from nvi_operator.view.graph.drawing import drawing
from nvi_operator.view.graph.layout import layout
from nvi_operator.view.graph.mermaid import mermaid
from nvi_operator.view.graph.model import Box, ChangeKind, Drawing, GraphColumn, Highlight, Line, Opened
from nvi_operator.view.graph.svg import svg

ROOT = Path(__file__).parents[3]
EXAMPLES = sorted(path for path in (ROOT / "examples").iterdir() if (path / "gateway.yaml").exists())


def of_example(name: str, *highlights: Highlight) -> Drawing:
    loaded = load_directory(ROOT / "examples" / name)
    return drawing(loaded.name, loaded.spec, highlights)


def large(uplinks: int = 20, forwards: int = 200, lans: int = 5) -> str:
    lines = ["apiVersion: nvi-operator/v1", "kind: Gateway", "metadata: { name: large }", "spec:", "  interfaces:"]
    lines += [f"    lan{n}: {{ networks: 10.{n}.0.0/16 }}" for n in range(lans)]
    lines += ["  uplinks:"]
    lines += [
        f"    isp-{n:02}: {{ interface: wan{n}, nextHop: 198.18.{n}.1, addresses: 198.18.{n}.2 }}"
        for n in range(uplinks)
    ]
    lines += ["  sourceNat: [{ name: everyone, as: isp-00 }]", "  forwards:"]
    for n in range(forwards):
        at = f"at: isp-{n % uplinks:02}, " if n % 7 else ""
        lines.append(f'    web{n}: {{ {at}ports: {n + 1}/tcp, to: "10.{n % lans}.0.{n % 31 + 1}:443" }}')
    return "\n".join(lines)


def of_text(text: str, *highlights: Highlight) -> Drawing:
    loaded = load_texts({"g.yaml": text})
    return drawing(loaded.name, loaded.spec, highlights)


def lines(picture: Drawing) -> set[tuple[str, str, Opened | None]]:
    return {(line.left, line.right, line.opened) for line in picture.lines}


def test_lines_lead_from_the_inside_by_the_rule_to_the_uplink_of_the_translated_source() -> None:
    assert lines(of_example("dual-wan")) == {
        ("inside lan0", "sourceNat server", Opened.INSIDE),
        ("sourceNat server", "source isp-b", Opened.INSIDE),
        ("inside lan0", "sourceNat everyone", Opened.INSIDE),
        ("sourceNat everyone", "source isp-a", Opened.INSIDE),
        ("inside lan0", "forwards dns", Opened.OUTSIDE),
        ("forwards dns", "source isp-b", Opened.OUTSIDE),
        ("inside lan0", "forwards web", Opened.OUTSIDE),
        ("forwards web", "source isp-a", Opened.OUTSIDE),
        ("forwards web", "source isp-b", Opened.OUTSIDE),
        ("source isp-a", "uplink isp-a", None),
        ("source isp-b", "uplink isp-b", None),
    }


def test_an_entry_leads_to_the_uplink_that_owns_its_address_and_to_its_own_tenant() -> None:
    found = lines(of_example("tenants"))
    assert ("sourceNat blue", "source isp-b", Opened.INSIDE) in found  # by a prefix that isp-b routes here
    assert ("inside blue0", "forwards blue-web", Opened.OUTSIDE) in found
    assert ("inside red0", "forwards blue-web", Opened.OUTSIDE) not in found  # which has the same addresses


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_a_picture_is_xml_with_nothing_from_elsewhere_and_every_box_in_it(example: Path) -> None:
    picture = of_example(example.name)
    text = svg(picture)
    root = ElementTree.fromstring(text)
    shown = {"".join(element.itertext()) for element in root.iter()}
    assert all(any(box.title in each for each in shown) for box in picture.boxes)
    assert not re.search(r"<script|<foreignObject|href|@import|url\((?!#)", text)
    assert text.count("http") == 1  # the namespace
    chart = mermaid(picture)
    assert chart.startswith("flowchart LR\n")
    assert chart.count("<b>") == len(picture.boxes)


def test_200_forwards_at_20_uplinks_are_few_boxes_and_each_forward_is_in_one() -> None:
    picture = of_text(large())
    boxes = [box for box in picture.of(GraphColumn.STAGE_1) if box.panel == "forwards"]
    assert len(boxes) <= 24
    assert sorted(name for box in boxes for name in box.members) == sorted(f"web{n}" for n in range(200))
    assert any(box.title == "8 forwards at isp-01" for box in boxes)
    assert len(picture.lines) < 200


def test_a_rule_with_20_uplinks_names_the_first_and_the_last() -> None:
    names = ", ".join(f"isp-{n:02}" for n in range(20))
    picture = of_text(large().replace("as: isp-00", f"as: [{names}]"))
    assert any("as isp-00 ... isp-19 (20 uplinks)" in box.lines for box in picture.boxes)


def test_a_picture_of_10000_forwards_is_as_small() -> None:
    assert len(svg(of_text(large(forwards=10_000)))) < 200_000


@pytest.mark.parametrize("text", [large(), large(2, 3, 1), large(1, 1, 1), large(30, 40, 12)])
def test_boxes_do_not_overlap_and_stay_in_the_picture(text: str) -> None:
    places = layout(of_text(text))
    for one, other in combinations(places.boxes.values(), 2):
        assert one.right <= other.x or other.right <= one.x or one.bottom <= other.y or other.bottom <= one.y
    for box in places.boxes.values():
        assert 0 <= box.x < box.right <= places.width
        assert 0 <= box.y < box.bottom <= places.height


def test_the_order_of_a_mapping_changes_nothing() -> None:
    text = (ROOT / "examples" / "dual-wan" / "services.yaml").read_text()
    web, dns = text.index("    web:"), text.index("    dns:")
    swapped = text[:web] + text[dns:].rstrip() + "\n" + text[web:dns]
    gateway = (ROOT / "examples" / "dual-wan" / "gateway.yaml").read_text()
    one, other = (load_texts({"a.yaml": gateway, "b.yaml": each}) for each in (text, swapped))
    assert svg(drawing(one.name, one.spec)) == svg(drawing(other.name, other.spec))


def test_a_highlighted_flow_is_drawn_by_the_box_of_its_entry_alone() -> None:
    picture = of_text(large(), Highlight(ChangeKind.NEW, "lan0", ("forwards", "web105"), "isp-05"))
    strong = [(line.left, line.right) for line in picture.lines if line.change is ChangeKind.NEW]
    assert strong == [
        ("inside lan0", "forwards web105"),
        ("forwards web105", "source isp-05"),
        ("source isp-05", "uplink isp-05"),
    ]
    assert next(box for box in picture.boxes if box.key == "forwards web105").title == "web105"
    assert svg(picture).count('class="way new strong"') == 3


def test_a_highlight_of_what_the_spec_does_not_have_is_left_out() -> None:
    picture = of_example("dual-wan", Highlight(ChangeKind.GONE, "lan9", ("forwards", "mail"), "isp-b"))
    assert [(line.left, line.right) for line in picture.lines if line.change] == [("source isp-b", "uplink isp-b")]


def test_what_flows_of_different_fates_share_is_changed() -> None:
    picture = of_example(
        "dual-wan",
        Highlight(ChangeKind.NEW, "lan0", ("forwards", "web"), "isp-b"),
        Highlight(ChangeKind.GONE, "lan0", ("forwards", "dns"), "isp-b"),
    )
    assert picture.changes["inside lan0"] is ChangeKind.CHANGED
    assert picture.changes["forwards web"] is ChangeKind.NEW


def test_the_legend_names_each_change_that_is_drawn() -> None:
    """Also one of a line alone: the boxes that it joins have others."""
    picture = of_example(
        "dual-wan",
        Highlight(ChangeKind.CHANGED, "lan0", ("sourceNat", "everyone"), "isp-a"),
        Highlight(ChangeKind.GONE, entry=("sourceNat", "everyone"), uplink="isp-b"),
        Highlight(ChangeKind.CHANGED, uplink="isp-b"),
    )
    shown = [element.text for element in ElementTree.fromstring(svg(picture)).iter()]
    assert {"changed", "gone"} <= set(shown)
    assert "new" not in shown


def test_text_of_a_spec_stays_text() -> None:
    evil = '</text><script>alert("1")</script>&amp; `x` #quot; \x1b[31m\x00'
    box = Box("x", GraphColumn.STAGE_1, evil, (evil,), badge=evil, panel=evil)
    picture = Drawing(evil, evil, (box, Box("y", GraphColumn.STAGE_2, "y")), (), (Line("x", "y", Opened.BOTH),))
    root = ElementTree.fromstring(svg(picture))
    assert {element.tag.partition("}")[2] for element in root.iter()}.isdisjoint({"script"})
    assert any('</text><script>alert("1")</script>&amp;' in (element.text or "") for element in root.iter())
    chart = mermaid(picture)
    assert "<script" not in chart
    assert "&" not in chart
    assert all(line.count('"') % 2 == 0 and line.isprintable() for line in chart.splitlines())


def test_dark_and_light_have_a_colour_for_the_same_things() -> None:
    style = re.search("<style>(.*?)</style>", svg(of_example("dual-wan")), re.DOTALL)
    assert style
    light, _, dark = style[1].partition("@media (prefers-color-scheme: dark)")
    coloured = r"([^{}]+) \{ [^{}]*(?:fill|stroke): #"
    assert {each.strip() for each in re.findall(coloured, dark)} == {e.strip() for e in re.findall(coloured, light)}


def test_the_picture_in_the_readme_is_of_the_example() -> None:
    """`nvictl graph examples/dual-wan > docs/dual-wan.svg`"""
    assert (ROOT / "docs" / "dual-wan.svg").read_text() == svg(of_example("dual-wan"))


def test_the_command_prints_either_form(capsys: pytest.CaptureFixture[str]) -> None:
    example = str(ROOT / "examples" / "dual-wan")
    assert main(["graph", example]) == 0
    assert capsys.readouterr().out == svg(of_example("dual-wan"))
    assert main(["graph", example, "-o", "mermaid"]) == 0
    assert capsys.readouterr().out == mermaid(of_example("dual-wan"))
