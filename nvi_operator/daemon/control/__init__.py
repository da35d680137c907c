"""The control socket of `nvictl run`: answers and events in lines of JSON (docs/control-socket.md).

`streams.py` serves many peers in the daemon's one thread, `place.py` makes the socket, `protocol.py` is the language,
`server.py` the daemon's end and `client.py` the end of a command.
"""
