"""nvi-operator: a declarative network operator for Linux NAT gateways.

Data goes one way: YAML -> spec -> topology -> desired state -> plan -> kernel -> observe -> empty plan.
Start reading at `reconcile/cycle.py`; docs/architecture.md names every folder.
"""

__version__ = "0.1.0"
