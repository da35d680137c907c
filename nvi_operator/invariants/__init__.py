"""What has to hold of every gateway, and what its spec asserts: checked by `validate` and `plan`. Pure.

check       all of it: begin here
catalogue   the invariants, by name
result      what a check says: Result, Finding, Unknown
dead        no entry is dead (shadows: taken by others before it; boxes: the packets it is about)
claims      no two entries give away one address
walked      the checks that walk packets with the engine (classes: which packets there are)
ways        nothing leaves untranslated, and nothing goes round
forwards    every forward reaches its server, and its answers return (published: what forwards publish)
plain       gateways that need no walk
assertions  what the spec asserts (selection: of which packets)
names, examples: entries and packets, as messages name them
"""
