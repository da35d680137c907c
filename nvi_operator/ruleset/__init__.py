"""The nftables table of a topology. Pure: one module per part of a packet's path, joined by `table.py`.

raw        prerouting -450  stage 2 leaves untracked; anti-spoof; tenants' conntrack zones
tenants    prerouting -150  the tenants of a new flow, kept in the conntrack mark
dstnat     prerouting -110  destination NAT
decrypted  prerouting  -90  what IPsec decrypts and nothing translates takes one pass
errors     output     -150  the gateway's own ICMP errors about NATed flows take both passes
srcnat     postrouting  90  source NAT, on the way into the device
guard      postrouting 300  what must not leave an uplink
mark_hook  postrouting MAX  the proof that stage 1 ran, after conntrack confirm

What they are made of: fields, prefix_sets, netmap (1:1 and twice NAT), redirects, balance (one of several by weight),
own and others (answers about translated flows), ipsec, mss.
"""
