"""The short way for many entries and for edits of a few; it must mean the same as the long one (ADR 0012)."""
