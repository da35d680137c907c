"""The nftables table that a topology means. Pure: one module per part of a packet's way, `table.py` joins them.

raw        prerouting -450  stage 2 leaves untracked; anti-spoof; tenants' conntrack zones
tenants    prerouting -150  who a new flow belongs to, kept in the conntrack mark
dstnat     prerouting -110  destination NAT
decrypted  prerouting  -90  what IPsec decrypts and nothing translates takes one pass
errors     output     -150  the gateway's own ICMP errors about NATed flows take the NAT way
srcnat     postrouting  90  source NAT, on the way into the device
guard      postrouting 300  what must not leave an uplink
mark_hook  postrouting MAX  the proof that stage 1 ran, after conntrack confirm
"""
