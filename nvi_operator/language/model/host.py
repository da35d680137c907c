"""The document of one host: what it changes of the spec that it shares with others. Read `Host` first."""

from typing import Any, Literal

from pydantic import Field

from nvi_operator.language.model.base import Model
from nvi_operator.language.model.fields import HostName

FOLDER = "hosts"  # where people look for them


class HostMetadata(Model):
    """Which host it is."""

    name: HostName = Field(description="The host's name, as `hostname` prints it, or as `--host` says.")
    description: str = ""


class Host(Model):
    """What one host changes of its gateway's spec: the document of `hosts/NAME.yaml`.

    `spec` is validated after it is merged, as a part of the gateway.
    """

    api_version: Literal["nvi-operator/v1"]
    kind: Literal["Host"]
    metadata: HostMetadata
    spec: dict[str, Any] = Field(default_factory=dict)
