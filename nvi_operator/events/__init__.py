"""What happened to a gateway, as data: `event.py` has one class for each event, `record.py` numbers and times them.

The daemon makes them of outcomes (`daemon/report.py`). Its log, the journal, the control socket, hooks and metrics
are views of them and add nothing.
"""
