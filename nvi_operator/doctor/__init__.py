"""`nvictl doctor`: what a machine can do, and what on it would break a gateway. Pure.

`kernel/inspect/survey.py` gathers a Survey, the checks in `checks/` judge it (`diagnosis.py`), `view/doctor.py` shows
the findings. Nothing here changes anything.
"""
