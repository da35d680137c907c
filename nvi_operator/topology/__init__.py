"""One gateway, resolved: names became addresses, tables and tenants. What every kind compiles from. Pure."""
