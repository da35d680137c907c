"""The only code that touches the operating system. One driver per kind of object; no decisions here."""
