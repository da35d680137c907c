"""What `nvi_operator.doctor.flow_cache` judges, read for a gateway that asks for a flow cache.

To list foreign tables may take half a second, so what was read of them counts until one of them changed.
"""

from __future__ import annotations

from dataclasses import replace

from nvi_operator.dataclass import dataclass
from nvi_operator.doctor.flow_cache import SETTINGS, host_blockers, merged, rule_blockers
from nvi_operator.doctor.footprint import Footprint
from nvi_operator.doctor.survey import Survey
from nvi_operator.errors import NviError
from nvi_operator.kernel.inspect.machine import has_conntrack_functions
from nvi_operator.kernel.inspect.nft import ForeignNft, read_ruleset
from nvi_operator.kernel.inspect.settings import legacy_tables, read_settings
from nvi_operator.kernel.inspect.tc import ingress_filters, ingress_programs
from nvi_operator.kernel.inspect.xfrm import policies
from nvi_operator.kernel.netlink.nfnetlink import Nfnetlink
from nvi_operator.kernel.netlink.rtnetlink import Rtnetlink
from nvi_operator.ruleset.table import TABLE
from nvi_operator.topology.blockers import Blocker
from nvi_operator.topology.facts import Facts


@dataclass(frozen=True)
class _Known:
    """What these tables are to this gateway."""

    foreign: ForeignNft
    need: Footprint
    blockers: tuple[Blocker, ...]


class FlowCacheSurvey:
    """Surveys the network namespace in which it is asked, always the same one."""

    def __init__(self) -> None:
        self._generation: int | None = None  # of nftables
        self._fingerprint = b""
        self._foreign = ForeignNft()
        self._known: _Known | None = None

    def foreign(self) -> ForeignNft:
        """All tables but the owned one; the same object as last time if none of them changed."""
        try:
            with Nfnetlink() as wire:
                generation = wire.generation()
                if generation == self._generation:
                    return self._foreign
                fingerprint = wire.fingerprint(without=("inet", TABLE))
        except NviError as error:
            return ForeignNft(failures=(error.message,))
        if fingerprint != self._fingerprint or self._foreign.failures:
            self._foreign = read_ruleset()
        self._generation, self._fingerprint = generation, fingerprint
        return self._foreign

    def is_stale(self) -> bool:
        """Did a foreign table change since blockers were looked for? Microseconds if nothing in nft did, otherwise a
        fraction of a millisecond, or 0.15 s with 10,000 rules.
        """
        return self._known is None or self.foreign() is not self._known.foreign

    def blockers(self, rtnetlink: Rtnetlink, facts: Facts, need: Footprint) -> tuple[Blocker, ...]:
        out, forward = policies()
        links = {ifname: facts.links[ifname] for ifname in need.interfaces if ifname in facts.links}
        survey = Survey(
            legacy_tables=tuple(legacy_tables()),
            conntrack_functions=has_conntrack_functions(),
            policies=out + forward,
            filters=tuple(ingress_filters(rtnetlink, links)),
            tcx=tuple(ingress_programs(links)),
            sysctls=read_settings(SETTINGS),
            links=links,
        )
        return merged(self._rule_blockers(survey, need), host_blockers(survey, need))

    def _rule_blockers(self, survey: Survey, need: Footprint) -> tuple[Blocker, ...]:
        """The blockers in nft; the same as last time if neither the foreign tables nor the gateway have changed."""
        foreign, known = self.foreign(), self._known
        if known is None or known.foreign is not foreign or known.need != need:
            tables = replace(
                survey,
                nft_objects=foreign.objects,
                nft_tables=foreign.tables,
                nft_ingress=foreign.ingress,
                nft_failures=foreign.failures,
            )
            known = self._known = _Known(foreign, need, rule_blockers(tables, need))
        return known.blockers
