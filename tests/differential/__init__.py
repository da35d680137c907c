"""Random gateways and packets: what `nvi_operator.explain` says of a packet is compared with what the kernel does.

    make differential N=20000                                # random cases; prints its seed
    python -m tests.differential --seed 7 --packets 2000     # the same cases again
    python -m tests.differential FILE.yaml                   # one case, such as a failure that was shrunk

`case.py` says what a case is; `generate/` draws them, `world.py` is the gateway and its surroundings in two network
namespaces, `predict.py` asks the engine, `compare.py` judges, `shrink.py` makes a failure small.
"""
