"""Health: who is asked whether an uplink or a server works, and when the answer counts. `daemon/health_state.py`
judges by it.
"""

from typing import Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import Field, WithJsonSchema, model_validator

from nvi_operator.dataclass import dataclass
from nvi_operator.language.model.base import Model
from nvi_operator.language.model.fields import Maybe, OrShort, SpecAddress, SpecTarget, as_tuple
from nvi_operator.language.model.services import PortRange, Target
from nvi_operator.language.model.validators import BeforeValidator, PlainSerializer
from nvi_operator.language.model.values import HOST_PATTERN, Address, as_text, parse_address
from nvi_operator.language.wording import HintedError, shown
from nvi_operator.pattern import pattern

Question = Literal["ping", "tcp", "dns", "http"]
QUESTIONS: tuple[str, ...] = get_args(Question)

_URL = pattern(r"http://(\[[0-9a-fA-F:.]+\]|[0-9.]+)(?::([0-9]{1,5}))?(/[!-~]*)?")
_PATH = pattern(r"/[!-~]*")
_DNS_NAME = pattern(rf"\.|{HOST_PATTERN.pattern}\.?")


@dataclass(frozen=True)
class Url:
    """A page of a server that is named by its address: a name would have to be looked up by some uplink."""

    address: Address
    port: int
    path: str

    def __str__(self) -> str:
        host = f"[{self.address}]" if self.address.version == 6 else str(self.address)
        return f"http://{host}{'' if self.port == 80 else f':{self.port}'}{self.path}"


def parse_url(value: object) -> Url:
    """``http://192.0.2.80/generate_204``, ``http://[2001:db8::80]:8080/``."""
    if isinstance(value, Url):
        return value
    text = as_text(value, "a page such as http://192.0.2.80/generate_204")
    if text.startswith("https:"):
        raise HintedError(f"{shown(text)}: only http is probed", "write tcp: ADDRESS:443 to see whether it answers")
    match = _URL.fullmatch(text)
    if not match:
        hint = "write http:// with an address, as in http://192.0.2.80/generate_204; a name goes into `host`"
        raise HintedError(f"{shown(text)} is not a page of a server by its address", hint)
    port = int(match[2] or 80)
    if not 0 < port < 65536:
        raise ValueError(f"{shown(text)}: ports are 1 to 65535")
    return Url(parse_address(match[1].strip("[]")), port, match[3] or "/")


def _dns_name(value: object) -> str:
    text = as_text(value, "a name")
    if not _DNS_NAME.fullmatch(text) or len(text) > 253:
        raise ValueError(f"{shown(text)} is not a name in the DNS")
    return text


def _path(value: object) -> str:
    text = as_text(value, "a path such as /healthz")
    if not _PATH.fullmatch(text):
        raise ValueError(f"{shown(text)} is not a path such as /healthz")
    return text


SpecUrl = Annotated[
    Url,
    BeforeValidator(parse_url),
    PlainSerializer(str),
    WithJsonSchema({"type": "string", "pattern": "^http://", "examples": ["http://192.0.2.80/generate_204"]}),
]
DnsName = Annotated[
    str, BeforeValidator(_dns_name), WithJsonSchema({"type": "string", "examples": [".", "example.org"]})
]
Path = Annotated[str, BeforeValidator(_path), WithJsonSchema({"type": "string", "pattern": "^/"})]


class Probe(Model):
    """One target, and how it is asked. The short form, an address, is a ping."""

    means: ClassVar[tuple[str, ...]] = QUESTIONS

    ping: Maybe[SpecAddress] = Field(None, description="An address that answers echo requests.")
    tcp: Maybe[SpecTarget] = Field(
        None, description="An address with a port that accepts connections, as in 192.0.2.80:443."
    )
    dns: Maybe[SpecAddress] = Field(
        None, description="A name server. It works if it says that `name` exists, or that it does not."
    )
    name: Maybe[DnsName] = Field(None, description="What a name server is asked for. Left out: the root, `.`.")
    http: Maybe[SpecUrl] = Field(
        None,
        description="A page of a server by its address, as in http://192.0.2.80/generate_204. It works if the "
        "status is 200 to 299: a portal that asks for a login answers otherwise.",
    )
    host: Maybe[DnsName] = Field(None, description="The server's name, where it serves several.")

    @model_validator(mode="after")
    def _asks_one(self) -> Self:
        if sum(getattr(self, field) is not None for field in self.means) != 1:
            raise ValueError(f"give exactly one of {', '.join(self.means[:-1])} and {self.means[-1]}")
        if self.tcp and (not self.tcp.ports or self.tcp.ports.size > 1):
            raise ValueError(f"tcp {self.tcp}: name one port, as in 192.0.2.80:443")
        if self.name and not self.dns:
            raise ValueError("name is what a name server is asked for: it goes with dns")
        if self.host and not self.http:
            raise ValueError("host is the name of a web server: it goes with http")
        return self

    @property
    def address(self) -> Address:
        return self.ping or self.dns or (self.tcp or self.http).address  # type: ignore[union-attr]

    @property
    def port(self) -> int | None:
        """The TCP port that is asked; None where the probe is another."""
        if self.http:
            return self.http.port
        return self.tcp.ports.first if self.tcp and self.tcp.ports else None

    @property
    def kind(self) -> Question:
        if self.ping:
            return "ping"
        return "tcp" if self.tcp else "dns" if self.dns else "http"

    def __str__(self) -> str:
        return f"{self.kind} {self.ping or self.tcp or self.dns or self.http}"


def _parse_probe(value: Any) -> Any:
    return value if isinstance(value, dict | Probe) else Probe(ping=parse_address(value))


_PROBE_SCHEMA = {"type": "string", "examples": ["192.0.2.1", "2001:db8::1"]}
Probes = Annotated[
    tuple[Annotated[Probe, BeforeValidator(_parse_probe), OrShort(_PROBE_SCHEMA)], ...], BeforeValidator(as_tuple)
]
Count = Annotated[int, Field(strict=True, ge=1, le=1000)]


class _Targets(Model):
    probes: Probes = Field(
        description="Who is asked: addresses beyond the provider's own network, of several operators. Each is on the "
        "far side of the uplink; its router answers as well when the line behind it is cut."
    )
    quorum: Count = Field(1, description="How many of the targets have to work for the uplink to be up.")


class _Question(Model):
    by: Question = Field(
        description="How a server is asked. ping: an echo request. tcp: a connection. http: a page, whose status has "
        "to be 200 to 299. dns: a question, by UDP, at port 53."
    )
    port: Maybe[Annotated[int, Field(strict=True, ge=1, le=65535)]] = Field(
        None, description="The port of the server, for tcp and http. Left out: the first that the forward leads to."
    )
    path: Maybe[Path] = Field(None, description="The page that is asked for by http. Left out: `/`.")
    host: Maybe[DnsName] = Field(None, description="The name that is asked for by http, where a server has several.")
    name: Maybe[DnsName] = Field(None, description="What a name server is asked for. Left out: the root, `.`.")

    @model_validator(mode="after")
    def _asks_one(self) -> Self:
        if self.port is not None and self.by not in ("tcp", "http"):
            raise ValueError(f"port goes with tcp and http, and not with {self.by}")
        for field, by in (("path", "http"), ("host", "http"), ("name", "dns")):
            if getattr(self, field) is not None and self.by != by:
                raise ValueError(f"{field} goes with {by}, and not with {self.by}")
        return self


class _Timing(Model):
    interval: float = Field(1.0, ge=0.1, le=3600, description="Seconds from one probe of a target to the next.")
    timeout: Maybe[Annotated[float, Field(ge=0.05, le=3600)]] = Field(
        None, description="Seconds to wait for an answer; at most `interval`. Left out: `interval`, and at most 1."
    )
    down: Count = Field(3, description="A target fails after so many probes in a row without an answer.")
    up: Count = Field(5, description="A target that failed works again after so many answers in a row.")
    hold_down: float = Field(
        10.0,
        ge=0,
        le=86400,
        description="What went down stays down for at least so many seconds, so that an uplink or a server that "
        "comes and goes moves few flows.",
    )
    max_loss: Maybe[Annotated[float, Field(ge=0, lt=100)]] = Field(
        None,
        description="A target fails as well while more than this percentage of the last `window` probes had no "
        "answer. It works again at four fifths of it.",
    )
    max_latency: Maybe[Annotated[float, Field(gt=0, le=60000)]] = Field(
        None,
        description="A target fails as well while the last `window` answers took longer than so many milliseconds on "
        "average. It works again at four fifths of it.",
    )
    window: Count = Field(20, description="How many of the last probes `maxLoss` and `maxLatency` look at.")

    @model_validator(mode="after")
    def _ends_in_time(self) -> Self:
        if self.timeout is not None and self.timeout > self.interval:
            raise ValueError(f"timeout {self.timeout:g} is longer than interval {self.interval:g}")
        return self

    @property
    def wait(self) -> float:
        """Seconds after which a probe is lost."""
        return min(self.interval, 1.0) if self.timeout is None else self.timeout


class Health(_Timing, _Targets):  # pydantic takes the fields of the last base first
    """Probes that leave by this uplink, and what follows from their answers. The short form is a list of addresses.

    A round is one probe of each target. All times are in seconds.
    """

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if self.quorum > len(self.probes):
            raise ValueError(f"quorum {self.quorum} is more than there are probes ({len(self.probes)})")
        return self


class ServerHealth(_Timing, _Question):
    """How each server is asked, and what follows from its answers. The short form is one of ping, tcp, dns and http.

    It is asked by the inside interface that it is behind. All times are in seconds.
    """

    def of(self, server: Address, port: int | None) -> Health:
        """The same as for an uplink, with one target. `port`: the first that the forward leads to; None: of any."""
        port = self.port or port
        probe: dict[str, Any] = {self.by: server}
        if self.by == "tcp":
            assert port is not None  # the model of a forward looks to it
            probe["tcp"] = Target(server, PortRange(port, port))
        elif self.by == "http":
            probe = {"http": Url(server, port or 80, self.path or "/"), "host": self.host}
        elif self.by == "dns":
            probe["name"] = self.name
        given = {name: value for name, value in probe.items() if value is not None}
        timing = {name: getattr(self, name) for name in _Timing.model_fields}
        return Health.model_construct(probes=(Probe.model_construct(**given),), quorum=1, **timing)


def parse_health(value: Any) -> Any:
    """Addresses, which are pinged, or the fields."""
    if value is None:
        raise ValueError("there is no value")
    return value if isinstance(value, dict | Health) else {"probes": value}


HEALTH_SCHEMAS: tuple[dict[str, Any], ...] = (
    {"type": "string", "examples": ["192.0.2.1"]},
    {"type": "array", "items": {"type": "string"}, "minItems": 1},
)


def parse_server_health(value: Any) -> Any:
    """How a server is asked, or the fields."""
    if value is None:  # pydantic 2.10 does not ask `Maybe` then
        raise ValueError("there is no value")
    return {"by": value} if isinstance(value, str) else value


SERVER_HEALTH_SCHEMA: dict[str, Any] = {"enum": list(QUESTIONS)}
