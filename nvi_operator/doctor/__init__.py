"""`nvictl doctor`: what a machine can do, and what on it would break a gateway. Pure.

`kernel/inspect/survey.py` gathers a Survey (survey), the checks in `checks/` judge it (diagnosis), `view/doctor.py`
shows the findings (finding). Nothing here changes anything.

footprint     what a gateway would use of the machine
ruleset       nft tables of other tools; hooks: which of the gateway's packets meet a chain
walk          where such a packet may end (packet: does it match? survival), for doctor; passage: for explain
undeclared    interfaces with networks that are not in the spec, and the answers to what they send
mark_bits     what a rule does to each bit of a mark
flow_cache    what keeps flows from being cached (per_packet, rule_effects)
networkd      systemd-networkd's configuration
remedies      commands that make another tool accept the gateway's packets
"""
