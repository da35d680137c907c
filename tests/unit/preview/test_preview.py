"""A preview tells of each gateway that a change touches what the change does to it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from nvi_operator.cli import main
from nvi_operator.plan.trace import trace
from nvi_operator.preview import few
from nvi_operator.preview.changes import change_of
from nvi_operator.preview.gateways import pairs
from nvi_operator.sources.git.local import LocalRepository
from nvi_operator.sources.side import RevisionSide
from nvi_operator.topology.facts import Facts
from nvi_operator.view.entries import entry_lines
from nvi_operator.view.preview.flows import flow_lines
from tests.lab.remote import GitRemote
from tests.unit.preview.conftest import Preview, spec

pytestmark = pytest.mark.slow  # git, in processes by the dozen


def test_a_change_is_told_as_its_plan_and_gateways_that_stay_are_not_mentioned(
    repository: GitRemote, preview: Preview
) -> None:
    repository.commit({"gateways/a/g.yaml": spec("a"), "gateways/b/g.yaml": spec("b")})
    repository.commit({"gateways/b/g.yaml": spec("b", server="192.168.1.81")})
    assert preview("HEAD^", "HEAD", "--path", "gateways/*")[:2] == (
        0,
        "b (gateways/b): changed\n"
        "~ forward web: 443/tcp on isp-a now goes to 192.168.1.81, no longer to 192.168.1.80\n"
        "flows:\n"
        "~   443/tcp from isp-a, isp-b, lan0, the gateway itself to 203.0.113.2: "
        "now reaches 192.168.1.81, no longer 192.168.1.80\n"
        "1 to update.\n"
        "\n"
        f"From HEAD^ ({short(repository, 'HEAD^')}) to HEAD ({short(repository, 'HEAD')}): 1 gateway changes.\n",
    )


def test_gateways_come_and_go_and_one_that_moved_stays_itself(repository: GitRemote, preview: Preview) -> None:
    repository.commit({"g/old/g.yaml": spec("old"), "g/here/g.yaml": spec("edge")})
    repository.commit({"g/old/g.yaml": None, "g/new/g.yaml": spec("new")}, push=False)
    repository.commit({"g/here/g.yaml": None, "g/there/g.yaml": spec("edge", "isp-b")})
    found = gateways(preview("HEAD^^", "HEAD", "--path", "g/*", "-o", "json")[1])
    assert [(g["gateway"], g["directory"], g["change"], g["movedFrom"]) for g in found] == [
        ("new", "g/new", "new", None),
        ("old", "g/old", "removed", None),
        ("edge", "g/there", "changed", "g/here"),
    ]
    assert [entry["name"] for entry in found[2]["entries"]] == ["everyone"]


def test_several_gateways_of_one_directory_are_told_apart(repository: GitRemote, preview: Preview) -> None:
    repository.commit({"a.yaml": spec("a"), "b.yaml": spec("b")})
    repository.commit({"b.yaml": spec("b", "isp-b"), "c.yaml": spec("c")})
    found = gateways(preview("HEAD^", "HEAD", "-o", "json")[1])
    assert [(g["gateway"], g["change"]) for g in found] == [("b", "changed"), ("c", "new")]


def test_entries_beside_the_yaml_belong_to_it(repository: GitRemote, preview: Preview) -> None:
    before = spec().replace("forwards:", "forwardsFrom: lists/web.csv\n  forwards:")
    lists = "name,ports,to\nmail,25/tcp,192.168.1.25\n"
    repository.commit({"g/g.yaml": before, "g/lists/web.csv": lists})
    repository.commit({"g/lists/web.csv": lists.replace(".25\n", ".26\n")})
    (found,) = gateways(preview("HEAD^", "HEAD", "--path", "g", "-o", "json")[1])
    assert [entry["name"] for entry in found["entries"]] == ["mail"]


def test_a_new_interface_leaves_the_numbers_of_the_others_alone(repository: GitRemote, preview: Preview) -> None:
    """Offline they are made up."""
    repository.commit({"g.yaml": spec()})
    repository.commit({"g.yaml": spec().replace("{ lan0:", "{ alan0: { networks: 10.9.0.0/16 }, lan0:")})
    (found,) = gateways(preview("HEAD^", "HEAD", "-o", "json")[1])
    assert {(e["section"], e["name"]) for e in found["entries"]} == {
        ("interfaces", "alan0"),
        ("sourceNat", "everyone"),
        (None, None),
    }


def test_what_only_a_comment_changes_is_said_to_change_nothing(repository: GitRemote, preview: Preview) -> None:
    repository.commit({"g.yaml": spec()})
    repository.commit({"g.yaml": f"# a word\n{spec()}"})
    code, text, _ = preview("HEAD^", "HEAD")
    assert (code, text.splitlines()[0]) == (0, "nothing in the kernel changes: edge")


def test_directories_are_compared_as_revisions_are(tmp_path: Path, preview: Preview) -> None:
    for name, uplink in (("old", "isp-a"), ("new", "isp-b")):
        (tmp_path / name / "edge").mkdir(parents=True)
        (tmp_path / name / "edge/g.yaml").write_text(spec(uplink=uplink))
    code, text, _ = preview(str(tmp_path / "old"), str(tmp_path / "new"), "--path", "*")
    assert code == 0
    assert "~ sourceNat everyone: 192.168.1.0/24 now leaves as isp-b (198.51.100.2), no longer as isp-a" in text


def test_the_working_tree_is_the_other_side_where_none_is_named(repository: GitRemote, preview: Preview) -> None:
    repository.commit({"sub/g.yaml": spec()})
    (repository.work / "sub/g.yaml").write_text(spec(uplink="isp-b"))
    code, text, _ = preview("main", "--path", "sub")
    assert (code, text.splitlines()[0]) == (0, "edge (sub): changed")


def test_a_wrong_spec_is_told_by_its_place_and_the_other_gateways_are_told_all_the_same(
    repository: GitRemote, preview: Preview
) -> None:
    repository.commit({"g/a/g.yaml": spec("a"), "g/b/g.yaml": spec("b")})
    repository.commit({"g/a/g.yaml": spec("a", "isp-c"), "g/b/g.yaml": spec("b", "isp-b")})
    code, text, errors = preview("HEAD^", "HEAD", "--path", "g/*")
    assert code == 1
    assert errors.startswith("g/a/g.yaml:9:37: spec.sourceNat[0].as: ")
    assert text.splitlines()[0] == "a (g/a): refused"
    assert "b (g/b): changed" in text


def test_a_base_that_is_wrong_stops_no_change_that_mends_it(repository: GitRemote, preview: Preview) -> None:
    repository.commit({"g.yaml": spec(uplink="isp-c")})
    repository.commit({"g.yaml": spec()})
    code, text, errors = preview("HEAD^", "HEAD")
    assert (code, errors) == (0, "")
    assert text.startswith(f"edge: wrong before\n{short(repository, 'HEAD^')}:g.yaml:9:37: ")


def test_annotations_name_file_line_and_column(repository: GitRemote, preview: Preview, tmp_path: Path) -> None:
    repository.commit({"g.yaml": spec()})
    repository.commit({"g.yaml": spec(uplink="isp-c")})
    report = tmp_path / "report.json"
    code, text, errors = preview("HEAD^", "HEAD", "--annotations", "--code-quality", str(report))
    assert (code, errors) == (1, "")
    assert text.startswith("::error file=g.yaml,line=9,col=37::spec.sourceNat[0].as: ")
    (found,) = json.loads(report.read_text())
    assert found["location"] == {"path": "g.yaml", "positions": {"begin": {"line": 9, "column": 37}}}


def test_a_report_may_go_to_stdout_instead_of_the_text(
    repository: GitRemote, preview: Preview, tmp_path: Path
) -> None:
    repository.commit({"g.yaml": spec()})
    repository.commit({"g.yaml": spec(uplink="isp-b")})
    file = tmp_path / "comment.md"
    preview("HEAD^", "HEAD", "--markdown", str(file))
    assert preview("HEAD^", "HEAD", "--markdown", "-") == (0, file.read_text(), "")
    assert not Path("-").exists()
    both = "nvictl: --markdown - and --annotations: both are for stdout\n  hint: name a file for one of them\n"
    assert preview("HEAD^", "HEAD", "--annotations", "--markdown", "-") == (1, "", both)
    with pytest.raises(SystemExit, match="1"):
        main(["validate", ".", "--junit", "-"])


def test_the_file_is_named_that_a_report_has_no_room_in(repository: GitRemote, preview: Preview) -> None:
    repository.commit({"g.yaml": spec()})
    told = preview("HEAD", "HEAD", "--markdown", "/dev/full")
    assert told == (1, "", "nvictl: /dev/full: No space left on device\n")


def test_what_is_no_revision_is_refused_and_a_directory_of_that_name_is_mentioned(
    repository: GitRemote, preview: Preview
) -> None:
    repository.commit({"old/g.yaml": spec()})
    code, _, errors = preview("old", "HEAD")
    assert (code, errors) == (
        1,
        "nvictl: old: not a revision of this repository\n  hint: for the directory write ./old\n",
    )
    for words, two in (
        ("main..feat", "main feat"),
        ("main..", "main HEAD"),
        ("main...feat", "$(git merge-base main feat) feat"),
        ("main...", "$(git merge-base main HEAD) HEAD"),
    ):
        assert preview(words)[2].endswith(f"  hint: write the two revisions: {two}\n")
    assert preview("HEAD", "HEAD", "--path", "none")[2].startswith("nvictl: none: no YAML files in HEAD")


def test_an_edit_means_the_same_by_itself_and_as_a_part_of_the_whole(
    repository: GitRemote, monkeypatch: pytest.MonkeyPatch
) -> None:
    forwards = "".join(
        f"    f{n}: {{ ports: {1000 + n}/tcp, at: {('isp-a', '198.51.100.2')[n % 2]}, to: 192.168.1.{n % 99 + 2} }}\n"
        for n in range(500)
    )
    repository.commit({"g.yaml": spec() + forwards})
    repository.commit({"g.yaml": spec() + forwards.replace("1007/tcp", "7/tcp").replace("    f9:", "    x9:")})
    revisions = LocalRepository.around(Path())
    base, head = (RevisionSide(revisions.tree(name)) for name in ("HEAD^", "HEAD"))
    ((pair,), _) = pairs(base, head, ["."])
    assert pair.delta is not None
    edited, whole = (change_of(each, Facts("")) for each in (pair, replace(pair, delta=None)))
    monkeypatch.setattr(few, "MANY", 100)
    assert len(few.with_few_forwards(pair).before.spec.forwards) == 250
    alone = change_of(pair, Facts(""))
    assert edited.plan.steps == whole.plan.steps
    words = [
        [*entry_lines(trace(change.plan, change.before)), *flow_lines(change.flows)] for change in (whole, alone)
    ]
    assert words[0] == words[1] == [*entry_lines(trace(edited.plan, edited.before)), *flow_lines(edited.flows)]
    assert len(words[0]) == 4


def gateways(output: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(output)["gateways"]
    return found


def short(repository: GitRemote, revision: str) -> str:
    return repository.git("rev-parse", revision)[:12]


def test_a_change_of_what_many_hosts_share_is_told_for_each_of_them(repository: GitRemote, preview: Preview) -> None:
    def host(name: str, lines: str) -> str:
        return f"apiVersion: nvi-operator/v1\nkind: Host\nmetadata: {{name: {name}}}\nspec:\n{lines}"

    hosts = {
        "hosts/one.yaml": host("one", "  vars: {weight: 2}\n"),
        "hosts/two.yaml": host("two", "  vars: {weight: 3}\n  forwards: {web: null}\n"),
    }
    repository.commit({"gateway.yaml": spec("branch"), **hosts})
    repository.commit({"gateway.yaml": spec("branch", server="192.168.1.81")})
    repository.commit({"hosts/two.yaml": host("two", "  forwards: {web: {to: '192.168.1.82:8443'}}\n")})
    assert _changed(preview, "HEAD^^", "HEAD^") == [("branch on one", ["web"])]
    assert _changed(preview, "HEAD^", "HEAD") == [("branch on two", ["web"])]


def _changed(preview: Preview, base: str, head: str) -> list[tuple[str, list[str]]]:
    found = gateways(preview(base, head, "-o", "json")[1])
    return [(gateway["gateway"], [e["name"] for e in gateway["entries"] if e["name"]]) for gateway in found]
