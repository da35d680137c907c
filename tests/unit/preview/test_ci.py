"""The files of examples/ci, as far as they can be run here: their scripts, against a stand-in for the forge."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
import yaml

from nvi_operator.view.preview.markdown import MARK
from tests.lab.remote import GitRemote
from tests.unit.preview.conftest import spec
from tests.unit.preview.forge import CI, Done, Forge, Runner, run_actions, run_gitlab, served

pytestmark = pytest.mark.slow  # git and shells, in processes by the dozen

WRONG = spec(uplink="isp-c")
TOLD = "sourceNat everyone: 192.168.1.0/24 now leaves as isp-b"
Job = Callable[[], Mapping[str, Done]]


class PullRequest:
    """Number 7 of a repository: a branch of a fork. The base branch went on meanwhile."""

    def __init__(self, directory: Path) -> None:
        self.remote = GitRemote(directory)
        self.remote.git("config", "uploadpack.allowAnySHA1InWant", "true", cwd=self.remote.path)  # as forges have it
        self.start = self.remote.commit({"gateways/edge/gateway.yaml": spec()})
        self.base = self.remote.commit({"gateways/edge/gateway.yaml": spec(server="192.168.1.99")})
        self.remote.git("checkout", "-q", "-b", "theirs", self.start)
        self.head = ""
        self.push(spec(uplink="isp-b"))

    def push(self, text: str) -> None:
        self.head = self.remote.commit({"gateways/edge/gateway.yaml": text}, push=False)
        self.remote.git("push", "-q", "-f", "origin", "HEAD:refs/pull/7/head")


@pytest.fixture
def pull_request(tmp_path: Path) -> PullRequest:
    return PullRequest(tmp_path)


@pytest.fixture(params=["github", "forgejo", "gitlab"])
def forge(request: pytest.FixtureRequest) -> Iterator[Forge]:
    me = {"github": "github-actions[bot]", "forgejo": "forgejo-actions", "gitlab": "project_1_bot"}
    author = "author" if request.param == "gitlab" else "user"
    with served(Forge(request.param, me[request.param], author)) as found:
        yield found


@pytest.fixture
def job(forge: Forge, pull_request: PullRequest, tmp_path: Path) -> Job:
    """Runs the forge's job for the pull request as it is now, in a new directory."""
    runs = iter(range(9))

    def run() -> Mapping[str, Done]:
        place = tmp_path / f"job-{next(runs)}"
        place.mkdir()
        if forge.name == "gitlab":
            subprocess.run(["git", "clone", "-q", "--no-checkout", pull_request.remote.url, str(place)], check=True)
            subprocess.run(["git", "fetch", "-q", "origin", pull_request.head], cwd=place, check=True)
            values = {
                "CI_MERGE_REQUEST_DIFF_BASE_SHA": pull_request.start,
                "CI_COMMIT_SHA": pull_request.head,
                "CI_API_V4_URL": forge.url,
                "CI_PROJECT_ID": "1",
                "CI_MERGE_REQUEST_IID": "7",
                "NVICTL_TOKEN": "secret",
            }
            return run_gitlab(CI / "gitlab/preview.gitlab-ci.yml", Runner(place, {}), values)
        runner = Runner(
            place,
            {
                "GITHUB_SERVER_URL": f"file://{tmp_path}",
                "GITHUB_REPOSITORY": "remote.git",
                "GITHUB_API_URL": forge.url,
            },
        )
        values = {
            "github.token": "secret",
            "github.event.number": "7",
            "github.event.pull_request.number": "7",
            "github.event.pull_request.base.sha": pull_request.base,
            "github.event.pull_request.head.sha": pull_request.head,
        }
        return run_actions(CI / forge.name / "preview.yml", runner, values)

    return run


def test_a_pull_request_gets_one_comment_that_later_pushes_replace(
    forge: Forge, job: Job, pull_request: PullRequest
) -> None:
    forge.write(f"{MARK} no, look here", by="stranger")
    assert [done for done in job().values() if done.code] == []
    assert len(forge.comments) == 2
    assert TOLD in forge.comments[1]["body"]
    assert "192.168.1.99" not in forge.comments[1]["body"], "what happened on the base branch since is not theirs"
    pull_request.push(spec(server="192.168.1.81"))
    assert [done for done in job().values() if done.code] == []
    assert len(forge.comments) == 2
    assert TOLD not in forge.comments[1]["body"]
    assert "now goes to 192.168.1.81" in forge.comments[1]["body"]
    assert forge.comments[0]["body"] == f"{MARK} no, look here"
    assert {token.split()[-1] for _, _, token in forge.calls} == {"secret"}


def test_a_wrong_spec_fails_the_job_and_is_told_at_its_line_and_nothing_is_checked_out(
    forge: Forge, job: Job, pull_request: PullRequest, tmp_path: Path
) -> None:
    pull_request.push(WRONG)
    done = job()
    names = {path.name for path in (tmp_path / "job-0").iterdir()}
    assert names <= {".git", "preview.md", "preview.html", "comment.json", "code-quality.json"}
    step = done["script" if forge.name == "gitlab" else "preview"]
    assert step.code == 1
    if forge.name == "gitlab":
        (found,) = json.loads((tmp_path / "job-0/code-quality.json").read_text())
        assert found["location"]["positions"]["begin"] == {"line": 9, "column": 37}
    else:
        assert step[1].startswith("::error file=gateways/edge/gateway.yaml,line=9,col=37::")
    assert "there is no uplink 'isp-c'" in forge.comments[0]["body"]


@pytest.mark.parametrize("name", ["github", "forgejo"])
def test_a_workflow_may_do_no_more_than_it_must(name: str) -> None:
    workflow = yaml.safe_load((CI / name / "preview.yml").read_text(encoding="utf-8"))
    (job,) = workflow["jobs"].values()
    assert list(workflow[True]) == ["pull_request_target"], "YAML 1.1 takes `on` for true"
    if name == "github":
        assert workflow["permissions"] == {"contents": "read", "pull-requests": "write"}
    with_token = {step["name"] for step in job["steps"] if "TOKEN" in step.get("env", {})}
    assert with_token == {"fetch", "comment"}, "and not the step that reads what strangers wrote"
    for step in job["steps"]:
        is_own = step.get("uses", "").startswith("https://code.forgejo.org/forgejo/")
        assert "uses" not in step or is_own or re.search(r"@[0-9a-f]{40}$", step["uses"]), "a tag can be moved"


# --------------------------------------------------------------------------- before the commit


def commit(remote: GitRemote, *options: str) -> subprocess.CompletedProcess[str]:
    environment = Runner(remote.work, {}).environment
    names = ["-c", "user.name=Ada", "-c", "user.email=ada@example.net"]
    return subprocess.run(
        ["git", *names, "commit", "-q", "-m", "x", *options],
        cwd=remote.work,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_hook_refuses_a_wrong_spec_and_looks_at_what_is_staged(tmp_path: Path) -> None:
    remote = GitRemote(tmp_path)
    hook = remote.work / ".git/hooks/pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_bytes((CI / "git-hooks/pre-commit").read_bytes())
    hook.chmod(0o755)
    file = remote.work / "gateways/edge/gateway.yaml"
    file.parent.mkdir(parents=True)

    file.write_text(spec())
    remote.git("add", "-A")
    first = commit(remote)
    assert (first.returncode, first.stderr.splitlines()[0]) == (0, "edge (gateways/edge): new")

    file.write_text(WRONG)
    remote.git("add", "-A")
    file.write_text(spec(uplink="isp-b"))
    wrong = commit(remote)
    assert wrong.returncode == 1
    assert "\ngateways/edge/gateway.yaml:9:37: " in f"\n{wrong.stderr}"

    right = commit(remote, "-a")
    assert right.returncode == 0
    assert TOLD in right.stderr


def test_the_hook_of_the_framework_is_the_same_command(tmp_path: Path) -> None:
    """Without the framework: its `entry` is split as a shell's words, and run without a shell."""
    remote = GitRemote(tmp_path)
    remote.commit({"gateways/edge/gateway.yaml": spec()})
    config = yaml.safe_load((CI / "git-hooks/pre-commit-config.yaml").read_text(encoding="utf-8"))
    ((hook,),) = (repo["hooks"] for repo in config["repos"])
    assert re.search(hook["files"], "gateways/edge/lists/forwards.csv")
    assert not hook["pass_filenames"]
    (remote.work / "gateways/edge/gateway.yaml").write_text(WRONG)
    environment = Runner(remote.work, {}).environment
    done = subprocess.run(
        shlex.split(hook["entry"]), cwd=remote.work, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("gateways/edge/gateway.yaml:9:37: ")
    assert os.access(CI / "git-hooks/pre-commit", os.X_OK)
