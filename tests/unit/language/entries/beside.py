"""A document that reads one file of entries, and the problems of that file."""

from __future__ import annotations

from tests.unit.language.specs import BASE, Reported, problems_in

READS_CSV = BASE + "  forwardsFrom: f.csv\n"
READS_JSON = BASE + "  forwardsFrom: f.jsonl\n"
HEADER = "name,at,ports,to\n"
WEB = "web,isp-b,443/tcp,192.168.1.80\n"

NOT_A_NAME = "is not a name: use 1 to 40 of a-z, 0-9 and '-', and neither start nor end with '-'"
ALLOWED = "names become nft identifiers: lower-case letters, digits and '-' only"
RENAME = "keep one of them, or rename one"


def csv(text: str | bytes) -> list[Reported]:
    return problems_in({"gw.yaml": READS_CSV, "f.csv": text})


def jsonl(text: str) -> list[Reported]:
    return problems_in({"gw.yaml": READS_JSON, "f.jsonl": text})
