"""What has to hold of every gateway, and what its spec asserts: checked by `validate` and `plan`. Pure.

result      what a check says: Result and Finding
dead        no entry is dead: shadowed by others, or about no packet
boxes       which packets an entry is about, less those that others take
"""
