"""What must hold for a gateway as a whole.

gateway       all rules. Start here. references: names that nothing has
uplinks, prefixes, health, translations, own, forwards, redirects, assertions, address_sets, packet_fields: the rules
              for what each is named after
addresses, port_claims: who owns an address or a public port, found among 100,000
"""
