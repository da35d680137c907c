"""`source.git` and `signatures`: which repository, which commit of it, whose signature it needs."""

import re
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import Field, WithJsonSchema, model_validator

from nvi_operator.dataclass import dataclass
from nvi_operator.language.model.base import Model
from nvi_operator.language.model.fields import Maybe
from nvi_operator.language.model.validators import BeforeValidator, PlainSerializer
from nvi_operator.language.model.values import as_text
from nvi_operator.language.operator.fields import Duration, FilePath
from nvi_operator.language.wording import HintedError, shown
from nvi_operator.pattern import pattern

HOSTNAME = "{hostname}"

_HOST = r"(?:[A-Za-z0-9][A-Za-z0-9.-]*|\[[0-9A-Fa-f:.]+\])"
_USER = r"[A-Za-z0-9_][A-Za-z0-9._-]*"
_BELOW = r"[A-Za-z0-9._~@+=/-]*"
_HTTPS = pattern(rf"https://{_HOST}(?::\d+)?/{_BELOW}")
_SSH = pattern(rf"ssh://(?:{_USER}@)?{_HOST}(?::\d+)?/{_BELOW}")
_SCP = pattern(rf"(?:{_USER}@)?[A-Za-z0-9][A-Za-z0-9.-]*:(?!//)[A-Za-z0-9._~/]{_BELOW}")
_FILE = pattern(rf"file:///{_BELOW}|/{_BELOW}")
_REF = pattern(r"[A-Za-z0-9_][A-Za-z0-9._@+=/-]*")
_PATTERN = pattern(r"[A-Za-z0-9_*?][A-Za-z0-9._@+=/*?-]*")
_IN_REPOSITORY = pattern(r"[A-Za-z0-9._@+={}-]+(?:/[A-Za-z0-9._@+={}-]+)*")


@dataclass(frozen=True)
class GitUrl:
    """`transport` is `https`, `ssh` or `file`: the only one that git may use."""

    text: str
    transport: str

    def __str__(self) -> str:
        return self.text

    @property
    def endpoint(self) -> tuple[str, int] | None:
        """The host and its TCP port; None: a file."""
        if self.transport == "file":
            return None
        if "://" not in self.text:  # USER@HOST:PATH
            return self.text.partition(":")[0].rpartition("@")[2], 22
        parts = urlsplit(self.text)
        return parts.hostname or "", parts.port or (443 if self.transport == "https" else 22)


def parse_git_url(value: object) -> GitUrl:
    """``https://git.example.net/net.git``, ``ssh://git@host/net.git``, ``git@host:net.git``, ``file:///srv/net.git``."""
    if isinstance(value, GitUrl):
        return value
    text = as_text(value, "the address of a repository")
    if re.match(r"https?://[^/]*@", text):
        raise HintedError(
            "the address holds a user or a password: addresses are logged",
            "put the token into a file: `token: /path`",
        )
    for transport, patterns in (("https", (_HTTPS,)), ("ssh", (_SSH, _SCP)), ("file", (_FILE,))):
        if any(pattern.fullmatch(text) for pattern in patterns):
            return GitUrl(text, transport)
    if text.startswith(("http:", "git:")):
        raise HintedError(f"{shown(text)}: nothing protects this transport", "use https or ssh")
    raise HintedError(
        f"{shown(text)} is not the address of a repository",
        "write https://HOST/PATH, ssh://USER@HOST/PATH, USER@HOST:PATH, or file:///PATH",
    )


def _ref(pattern: re.Pattern[str], what: str, value: object) -> str:
    text = as_text(value, what)
    parts = text.split("/")
    if (
        not pattern.fullmatch(text)
        or ".." in text
        or "@{" in text
        or any(not part or part.startswith(".") or part.endswith((".", ".lock")) for part in parts)
    ):
        raise HintedError(f"{shown(text)} is not {what}", "see git-check-ref-format(1)")
    return text


def _branch(value: object) -> str:
    return _ref(_REF, "the name of a branch", value)


def _tag(value: object) -> str:
    return _ref(_PATTERN, "a pattern of tags", value)


def _path(value: object) -> str:
    text = as_text(value, "a path in the repository").removesuffix("/")
    rest = text.replace(HOSTNAME, "")
    if text in ("", "."):
        return ""
    if not _IN_REPOSITORY.fullmatch(text) or {".", ".."} & set(text.split("/")):
        raise HintedError(
            f"{shown(text)} is not a path in the repository", "write it from the top, as in gateways/edge"
        )
    if "{" in rest or "}" in rest:
        raise HintedError(f"{shown(text)}: only {HOSTNAME} is replaced", f"write it as {HOSTNAME}")
    return text


def _user(value: object) -> str:
    text = as_text(value, "a user's name")
    if not re.fullmatch(_USER, text):
        raise ValueError(f"{shown(text)} is not a user's name")
    return text


SpecGitUrl = Annotated[
    GitUrl,
    BeforeValidator(parse_git_url),
    PlainSerializer(str),
    WithJsonSchema({"type": "string", "examples": ["https://git.example.net/net/gateways.git", "git@host:net.git"]}),
]
BranchName = Annotated[str, BeforeValidator(_branch), WithJsonSchema({"type": "string", "examples": ["main"]})]
TagPattern = Annotated[str, BeforeValidator(_tag), WithJsonSchema({"type": "string", "examples": ["v*"]})]
RepositoryPath = Annotated[
    str, BeforeValidator(_path), WithJsonSchema({"type": "string", "examples": ["gateways/{hostname}"]})
]
UserName = Annotated[str, BeforeValidator(_user), WithJsonSchema({"type": "string", "examples": ["git"]})]


class SignaturesSpec(Model):
    """Whose signature a commit needs, or with `tag` the tag. Without this section none is needed.

    git judges it ([how-to](how-to/git.md)): the signature is good, and its key neither expired nor revoked.
    """

    allowed_signers: Maybe[FilePath] = Field(
        None, description="ssh: the file with the keys that may sign, in the form of ssh-keygen(1), ALLOWED SIGNERS."
    )
    revoked_keys: Maybe[FilePath] = Field(
        None, description="ssh: the file with keys that may not, as a list of `ssh-keygen -k` or as public keys."
    )
    keyring: Maybe[FilePath] = Field(
        None, description="GnuPG: the file with the public keys that may sign, as `gpg --export` writes it."
    )

    @model_validator(mode="after")
    def _names_keys(self) -> Self:
        if not (self.allowed_signers or self.keyring):
            raise ValueError("give at least one of allowedSigners and keyring")
        if self.revoked_keys and not self.allowed_signers:
            raise ValueError("revokedKeys goes with allowedSigners")
        return self


class GitSource(Model):
    """A repository that is fetched again and again. git itself does it; nothing of the repository is run."""

    url: SpecGitUrl = Field(description="`https://`, `ssh://`, `USER@HOST:PATH` or `file://`.")
    branch: Maybe[BranchName] = Field(None, description="The branch to follow. With neither branch nor tag: `main`.")
    tag: Maybe[TagPattern] = Field(
        None,
        description="The tags to follow, as in `v*`: the one with the highest version among those that match; "
        "`v1.10` is above `v1.9`, `v2.0-rc1` below `v2.0`.",
    )
    path: RepositoryPath = Field(
        "", description="Where the gateway's spec is in the repository. `{hostname}` is replaced. Left out: the top."
    )
    testing: bool = Field(
        False,
        description="Where a branch `testing/HOSTNAME` exists and is ahead of `branch`, follow that one: each "
        "commit of it is to be confirmed within `confirm.within`, or 5 minutes. It may be force-pushed.",
    )
    interval: Duration = Field(
        60.0, description="How long after a fetch the next one is due. 0: only at the start, and by `nvictl sync`."
    )
    jitter: Maybe[Duration] = Field(
        None,
        description="Up to so much is added to each interval at random, so that the gateways of a fleet do not ask "
        "at the same time. Left out: a fifth of `interval`.",
    )
    timeout: Duration = Field(60.0, ge=1, description="A fetch that takes longer is ended, and tried again later.")
    key: Maybe[FilePath] = Field(None, description="ssh: the file with the private key, a deploy key that may read.")
    known_hosts: Maybe[FilePath] = Field(
        None, description="ssh: the file with the host's key, as `ssh-keyscan HOST` prints it. No other is accepted."
    )
    token: Maybe[FilePath] = Field(
        None, description="https: the file with a token that may read. Only its owner may have the right to read it."
    )
    user: Maybe[UserName] = Field(None, description="https: the user that the token is of. Left out: `git`.")
    ca: Maybe[FilePath] = Field(
        None,
        description="https: the file with the certificates (PEM) of the authorities that may vouch for the server, "
        "such as one of your own. Left out: those that the machine trusts.",
    )
    allow_rewind: bool = Field(
        False,
        description="Follow a branch also to a commit that does not descend from the one before, and a tag that "
        "moved, or a version that became lower. Otherwise that is refused.",
    )

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if self.branch and self.tag:
            raise ValueError("give branch or tag, not both")
        if self.testing and self.tag:
            raise ValueError("testing goes with a branch, and tag is given")
        transport = self.url.transport
        if transport == "ssh" and not (self.key and self.known_hosts):
            raise HintedError(
                "an ssh remote needs key and knownHosts",
                "name the file of a deploy key, and one with the output of `ssh-keyscan HOST`",
            )
        needs = {"key": "ssh", "known_hosts": "ssh", "token": "https", "user": "https", "ca": "https"}
        for name, needed in needs.items():
            if getattr(self, name) is not None and transport != needed:
                shown_name = "knownHosts" if name == "known_hosts" else name
                raise ValueError(f"{shown_name} is of {needed}, and the address is of {transport}")
        if self.user and not self.token:
            raise ValueError("user is whose token it is: it goes with token")
        return self

    @property
    def longest_jitter(self) -> float:
        return self.interval / 5 if self.jitter is None else self.jitter
