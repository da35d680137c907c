"""Lines of the NAT log, one for the beginning of a translated flow and one for its end: as JSON, or as CSV.

Put together by hand: `json.dumps` takes several times as long, and there may be 40,000 lines a second.
"""

from __future__ import annotations

import time
from functools import lru_cache
from socket import AF_INET, AF_INET6, inet_ntop
from typing import Literal

from nvi_operator.state.nat_event import NatEvent

Format = Literal["json", "csv"]

HEADER = (
    "time,event,id,protocol,source,sourcePort,destination,destinationPort,newSource,newSourcePort,newDestination,"
    "newDestinationPort,zone,packets,bytes,seconds,lost\n"
)
_PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp", 33: "dccp", 47: "gre", 58: "icmpv6", 132: "sctp"}


def flow_line(event: NatEvent, moment: float, form: Format) -> str:
    """`moment`: seconds since 1970."""
    (
        ended,
        number,
        protocol,
        source,
        source_port,
        destination,
        destination_port,
        new_source,
        new_source_port,
        new_destination,
        new_destination_port,
        zone,
        packets,
        octets,
        seconds,
    ) = event
    at, name = _time(moment), _PROTOCOLS.get(protocol, protocol)
    src, dst, new_src, new_dst = _text(source), _text(destination), _text(new_source), _text(new_destination)
    if form == "csv":
        line = (
            f"{at},{'end' if ended else 'start'},{number:08x},{name},{src},{source_port},{dst},{destination_port},"
            f"{new_src},{new_source_port},{new_dst},{new_destination_port},{zone}"
        )
        if not ended:
            return f"{line},,,,\n"
        shown = ("" if value is None else value for value in (packets, octets, seconds and round(seconds, 3)))
        return f"{line},{','.join(map(str, shown))},\n"
    line = (
        f'{{"time":"{at}","event":"{"end" if ended else "start"}","id":"{number:08x}","protocol":"{name}",'
        f'"source":"{src}","sourcePort":{source_port},"destination":"{dst}","destinationPort":{destination_port},'
        f'"newSource":"{new_src}","newSourcePort":{new_source_port},"newDestination":"{new_dst}",'
        f'"newDestinationPort":{new_destination_port},"zone":{zone}'
    )
    if ended:
        for key, value in (("packets", packets), ("bytes", octets), ("seconds", seconds and round(seconds, 3))):
            line += f',"{key}":{"null" if value is None else value}'
    return line + "}\n"


def gap_line(what: Literal["listening", "stopped", "lost"], moment: float, form: Format, lost: int = 0) -> str:
    """Where the log begins, ends, or lacks something: `lost` reports, each of a beginning or an end."""
    at = _time(moment)
    if form == "csv":
        return f"{at},{what}{',' * 15}{lost if what == 'lost' else ''}\n"
    return f'{{"time":"{at}","event":"{what}"' + (f',"lost":{lost}' if what == "lost" else "") + "}\n"


@lru_cache(maxsize=1 << 16)
def _text(address: bytes) -> str:
    return inet_ntop(AF_INET if len(address) == 4 else AF_INET6, address)


def _time(moment: float) -> str:
    """RFC 3339, in UTC."""
    whole = int(moment)
    return f"{_second(whole)}.{int((moment - whole) * 1000):03d}Z"


@lru_cache(maxsize=4)
def _second(moment: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(moment))
