"""A spec's gateway in network namespaces of its own, what stands in for all around it, and packets that try it.

isolation: a process that has the namespaces to itself; they end with it.
wire: the far end of one interface: it answers for every neighbour, sends and records.
exchange: sends probes and gives their answers.
simulation: all of it, in its order.
"""
