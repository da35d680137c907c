"""What tries a gateway: surroundings, packets to send, and a comparison of what is seen with what is expected. Pure.

surroundings: what a spec says of the networks around the gateway, and what is assumed of them.
places: who may send or get a packet; services: what a host answers to health probes.
translation: what a new flow has to leave as, read off the resolved gateway.
probe, probes, forward_probes, own_probes: the packets, and what has to become of each.
assertions: those of the spec, held against all packets that were sent.
frames: packets as bytes, and bytes as packets.
predicted: what `explain` says of them.
judge: what was seen, and whether that is what was expected.
outcome: all of it, of one gateway.
"""
