"""`dataclass`, as the standard library has it, whose methods are compiled when a class is first used.

Python 3.11 compiles six functions for each frozen dataclass. A command imports 200 of them and makes instances of a
quarter: what it does not use should cost it nothing (docs/adr/0024-start-up.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
else:
    import dataclasses
    from threading import RLock

    _FIELDS = "__dataclass_fields__"  # what fields(), replace(), is_dataclass() and subclasses ask for
    _making = RLock()  # to make a class makes its bases

    def dataclass(cls=None, /, **options):
        """See dataclasses.dataclass. With slots it makes another class of the one decorated: that is done at once."""

        def decorated(cls):
            if options.get("slots") or "__init__" in cls.__dict__:
                return dataclasses.dataclass(cls, **options)
            _postpone(cls, options)
            return cls

        return decorated if cls is None else decorated(cls)

    def _postpone(cls, options):
        def make():
            with _making:
                if cls.__init__ is first:
                    dataclasses.dataclass(cls, init=False, **options)
                    cls.__init__ = _init_of(cls, options.get("frozen", False))  # last: then other threads see it

        def first(self, *args, **kwargs):
            make()
            cls.__init__(self, *args, **kwargs)

        cls.__init__ = first
        setattr(cls, _FIELDS, _Fields(make))

    def _init_of(cls, frozen):
        fields = [(field.name, field.type, field) for field in dataclasses.fields(cls)]
        methods = {name: None for name in ("__post_init__",) if hasattr(cls, name)}
        return dataclasses.make_dataclass(
            cls.__name__, fields, namespace=methods, frozen=frozen, repr=False, eq=False, match_args=False
        ).__init__

    class _Fields:
        """Stands where the fields will."""

        def __init__(self, make):
            self._make = make

        def __get__(self, instance, owner):
            self._make()
            return getattr(owner, _FIELDS)
