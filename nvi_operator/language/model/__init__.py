"""The types of the spec language. Read `gateway.py` first.

gateway       the document, and its sections: interfaces (prefixes), source_nat (order, one_to_one), nat_entries
              (forwards, 1:1 and twice NAT), redirects, health, checks, assertions, drift, settings, address_sets
sections      the registry of sections: how each is joined, counted, described
host          the document of one host
values, services, packet_fields: addresses, ports, marks; as they are written and compared
servers       several of which each flow gets one, and how it is picked
fields, validators, base: how pydantic reads them
"""
