"""The rules that need the whole gateway: each with its place, its path, its sentence and its hint."""
