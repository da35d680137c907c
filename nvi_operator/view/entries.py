"""A plan in the words of the spec: what becomes of each entry, and what that does. Reads plan/trace.py's effects.

In JSON, as `entries` of plan_json: `section` and `name` as in the spec (null: the gateway itself, or an entry that is
no longer there), `action`, `text`, `before` and `after` (what, on, value), `steps` (numbers in `steps`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any, NamedTuple

from nvi_operator.language.wording import counted, short
from nvi_operator.plan.change import Action
from nvi_operator.plan.pieces import Fact
from nvi_operator.plan.trace import Effect
from nvi_operator.state.lines import Line
from nvi_operator.view.entry_words import entry_word

ROOM = 16  # lines: beside notes, the summary and the prompt on a screen of 24
_NAMES = 3  # of entries that are counted
_FACTS = 3  # of one entry
_COLUMNS = 76  # of a line of a terminal, behind its sign
_LONGEST = 2 * _COLUMNS  # where the screen is full

_SIGNS = {Action.CREATE: "+", Action.DELETE: "-", Action.UPDATE: "~", Action.REPLACE: "~"}
_BECAME = {Action.CREATE: "new", Action.UPDATE: "changed", Action.REPLACE: "changed", Action.DELETE: "removed"}
_IS = {Action.CREATE: "missing", Action.UPDATE: "changed", Action.REPLACE: "changed", Action.DELETE: "unknown"}

_MANY_OF = {"forwards": "public ports", "static": "addresses"}
_WHOLE = (Action.CREATE, Action.DELETE)
_PLURALS = {"address": "es", "next hop": "s", "interface": "s", "network": "s"}


class _Verb(NamedTuple):
    does: str
    now: str
    no_longer: str
    does_not: str
    did: str
    to: str  # before another value


_KNOWN = _Verb("is known as", "is now known as", "is no longer known as", "is not known as", "was known as", "as ")
_VERBS = {
    "forwards": _Verb("goes to", "now goes to", "no longer goes to", "does not go to", "went to", "to "),
    "redirects": _Verb("goes to", "now goes to", "no longer goes to", "does not go to", "went to", "to "),
    "static": _KNOWN,
    "prefixNat": _KNOWN,
    "twiceNat": _Verb("gets", "now gets", "no longer gets", "does not get", "got", ""),
    "sourceNat": _Verb("leaves", "now leaves", "no longer leaves", "does not leave", "left", ""),
    "routes": _Verb("leaves by", "now leaves by", "no longer leaves by", "does not leave by", "left by", "by "),
}


def entry_lines(effects: Sequence[Effect], *, full: bool = False, drift: bool = False) -> Iterator[Line]:
    """Signed lines: one an entry where they fit a screen, or in `full`; of large sections how many.

    In `drift` the signs are those of what is there: '-' is missing, '+' is not in the spec.
    """
    sections = {section: list(group) for section, group in groupby(effects, key=lambda effect: effect.entry.section)}
    if full:
        for effect in effects:
            yield _line(effect, drift)
        return
    told = {section: [_line(effect, drift) for effect in group[: ROOM + 1]] for section, group in sections.items()}
    if _height(told) > ROOM:
        told = {section: [(sign, _cut(text)) for sign, text in lines] for section, lines in told.items()}
    for section in sorted(filter(None, sections), key=lambda section: -len(sections[section])):
        if _height(told) > ROOM and len(told[section]) > 1:
            told[section] = [_sum(section, sections[section], drift)]
    for lines in told.values():
        yield from lines


def _line(effect: Effect, drift: bool) -> Line:
    return _sign(effect, drift), effect_text(effect, drift=drift)


def _height(told: Mapping[str, Iterable[Line]]) -> int:
    """Rows on a terminal of 80 columns."""
    return sum(1 + (len(text) - 1) // _COLUMNS for lines in told.values() for _, text in lines)


def _cut(text: str) -> str:
    """The text, cut to as many of its phrases as two rows hold."""
    if len(text) <= _LONGEST:
        return text
    phrases = text[: _LONGEST - len("; ...")].rpartition("; ")[0]
    return f"{phrases}; ..." if phrases else short(text, _LONGEST)


def _sign(effect: Effect, drift: bool) -> str:
    sign = _SIGNS[effect.action]
    return {"+": "-", "-": "+", "~": "~"}[sign] if drift else sign


def _sum(section: str, group: Sequence[Effect], drift: bool) -> Line:
    """`forwards: 1,204 new, 3 changed (web, mail, ssh), 2 removed`"""
    signs = {_sign(effect, drift) for effect in group}
    words = _IS if drift else _BECAME
    counts = Counter(words[effect.action] for effect in group if not effect.many)
    parts = []
    for word in dict.fromkeys(words.values()):
        names = [e.entry.name for e in group if words[e.action] == word and e.entry.name]
        named = f" ({', '.join(names)})" if 0 < len(names) <= _NAMES and len(names) == counts[word] else ""
        parts += [f"{counts[word]:,} {word}{named}"] if counts[word] else []
    parts += [_many(effect, words) for effect in group if effect.many]
    return signs.pop() if len(signs) == 1 else "~", f"{section}: {', '.join(parts)}"


def _many(effect: Effect, words: Mapping[Action, str]) -> str:
    """The words for so many elements that none was looked at."""
    actions = (Action.CREATE, Action.UPDATE, Action.DELETE)
    counts = zip(effect.many or (), actions, strict=True)
    noun = _MANY_OF.get(effect.entry.section, "elements")
    return ", ".join(f"{count:,} {noun} {words[action]}" for count, action in counts if count)


def effect_text(effect: Effect, *, drift: bool) -> str:
    """`forward web: 443/tcp on isp-a now goes to 192.168.1.80:8443, no longer to 192.168.1.80`"""
    entry = effect.entry
    if effect.many:
        return f"{entry.section}: {_many(effect, _IS if drift else _BECAME)}"
    label = entry_word(entry.section)
    verb = _VERBS.get(entry.section)
    if not entry.section or not (effect.removed or effect.added):
        words = _counts(effect, drift=drift)
    elif verb is None:
        words = _had(effect, drift=drift)
    else:
        words = _does_not(effect, verb) if drift else _does(effect, verb)
    if entry.section and entry.name is None:
        return f"{'unknown' if drift else 'removed'} {label}: {words}"
    name = f" {entry.name}" if entry.name else ""
    new = f"{_BECAME[effect.action]}: " if entry.section and not drift and effect.action in _WHOLE else ""
    return f"{label}{name}: {new}{words}".removesuffix(": ")


def _does(effect: Effect, verb: _Verb) -> str:
    if effect.action in _WHOLE:
        return _phrases(effect.added, verb.does) or _phrases(effect.removed, verb.did)
    changed, removed, added = _compared(effect)
    moved = _replaced(changed, "{new}, no longer " + verb.to + "{old}")
    parts = [_phrases(moved, verb.now), _phrases(added, verb.now), _phrases(removed, verb.no_longer)]
    return "; ".join(filter(None, parts)) or _counts(effect)


def _does_not(effect: Effect, verb: _Verb) -> str:
    changed, unknown, missing = _compared(effect)
    moved = _replaced(changed, "{old} instead of {new}")
    parts = [_phrases(moved, verb.does), _phrases(missing, verb.does_not), _phrases(unknown, verb.does)]
    return "; ".join(filter(None, parts)) or _counts(effect, drift=True)


def _had(effect: Effect, *, drift: bool) -> str:
    """What an uplink or an interface has, not what it does."""
    if drift:
        facts = _values(dict.fromkeys((*effect.removed, *effect.added)))
        return f"{_counts(effect, drift=True)} ({facts})"
    if effect.action in _WHOLE:
        return _values(effect.added or effect.removed)
    changed, removed, added = _compared(effect)
    parts = [f"{new.what} now {new.value}, no longer {old.value}" for old, new in changed]
    parts += [f"now with {_values(added)}"] if added else []
    parts += [f"no longer with {_values(removed)}"] if removed else []
    return "; ".join(parts) or _counts(effect)


def _values(facts: Iterable[Fact]) -> str:
    """`next hop 203.0.113.1 on wan0; addresses 203.0.113.2, 2001:db8:a::2`"""
    values: dict[tuple[str, str], list[str]] = {}
    for fact in facts:
        values.setdefault((fact.what, fact.place), []).append(fact.value)
    parts = []
    for (what, place), several in sorted(values.items(), key=lambda item: item[0][0] == "address"):
        ending = _PLURALS[what] if len(several) > 1 else ""
        parts.append(f"{what}{ending} {_few(several, _FACTS)}{f' on {place}' if place else ''}")
    return "; ".join(parts)


def _compared(effect: Effect) -> tuple[list[tuple[Fact, Fact]], list[Fact], list[Fact]]:
    """Facts with another value, (old, new); what was removed; what was added."""
    old, new = ({fact.key: fact for fact in facts} for facts in (effect.removed, effect.added))
    changed = [(old[key], new[key]) for key in old if key in new and old[key].value != new[key].value]
    removed = [fact for fact in effect.removed if fact.key not in new]
    added = [fact for fact in effect.added if fact.key not in old]
    return changed, removed, added


def _replaced(changed: Iterable[tuple[Fact, Fact]], words: str) -> Iterator[Fact]:
    """A fact for each place, whose value is `words` with its new and old values, of both families."""
    at: dict[tuple[str, str], list[tuple[Fact, Fact]]] = {}
    for old, new in changed:
        at.setdefault((new.what, new.place), []).append((old, new))
    for pairs in at.values():
        was, now = (_few((fact.value for fact in side), _FACTS, " and ") for side in zip(*pairs, strict=True))
        yield replace(pairs[0][1], value=words.format(old=was, new=now))


def _phrases(facts: Iterable[Fact], verb: str) -> str:
    """`80/tcp, 443/tcp on isp-a, isp-b go to 192.168.1.80`: what has the same places and values is told together."""
    values: dict[tuple[str, str], list[str]] = {}
    for fact in facts:
        values.setdefault((fact.what, fact.place), []).append(fact.value)
    places: dict[tuple[str, str], list[str]] = {}
    for (what, place), several in values.items():
        places.setdefault((what, _few(several, _FACTS, " and ")), []).append(place)
    whats: dict[tuple[str, str], list[str]] = {}
    for (what, value), where in places.items():
        whats.setdefault((f" on {_few(where, _FACTS)}" if any(where) else "", value), []).append(what)
    return _few(
        (f"{_few(what, _FACTS)}{on} {_agreed(verb, what)} {value}" for (on, value), what in whats.items()),
        _FACTS,
        "; ",
    )


_PLURAL_VERBS = {"goes": "go", "is": "are", "was": "were", "leaves": "leave", "gets": "get", "does": "do"}


def _agreed(verb: str, subjects: Sequence[str]) -> str:
    one = len(subjects) == 1 and not subjects[0].startswith("own packets")
    return verb if one else " ".join(_PLURAL_VERBS.get(word, word) for word in verb.split())


def _few(texts: Iterable[str], most: int, between: str = ", ") -> str:
    once = list(dict.fromkeys(texts))
    return between.join(once[:most]) + (f" and {len(once) - most:,} more" if len(once) > most else "")


def _counts(effect: Effect, *, drift: bool = False) -> str:
    """`device nvi0, 12 ip rules, 3 settings`; what is within the table is one number."""
    if not drift and effect.action is Action.CREATE:
        return _nouns(effect.counts) if not effect.entry.section else ""
    if not drift:
        told = effect.action is Action.DELETE and effect.entry.section  # in front of it
        return _nouns(effect.counts) + ("" if told else f" {_BECAME[effect.action]}")
    by_word: dict[str, dict[str, tuple[int, int]]] = {}
    for noun, (added, removed) in effect.counts.items():
        action = Action.UPDATE if added and removed else Action.CREATE if added else Action.DELETE
        by_word.setdefault(_IS[action], {})[noun] = (added, removed)
    told = ", ".join(f"{_nouns(counts)} {word}" for word, counts in by_word.items())
    names = "" if effect.removed or effect.added else _few(effect.objects, _FACTS)
    return f"{told} ({names})" if names else told


def _nouns(counts: Mapping[str, tuple[int, int]]) -> str:
    numbers = {noun: max(count) for noun, count in counts.items()}
    in_table = [noun for noun in numbers if noun.startswith("nft ")]
    if len(in_table) > 1:
        numbers["nft object"] = sum(numbers.pop(noun) for noun in in_table)
    return ", ".join(
        noun if noun.startswith("device ") else counted(number, noun) for noun, number in numbers.items()
    )


# --------------------------------------------------------------------------- for programs


def entry_json(effect: Effect, *, drift: bool = False) -> dict[str, Any]:
    return {
        "section": effect.entry.section or None,
        "name": effect.entry.name,
        "action": effect.action.value,
        "text": effect_text(effect, drift=drift),
        "before": [_fact_json(fact) for fact in effect.removed],
        "after": [_fact_json(fact) for fact in effect.added],
        "steps": sorted(effect.steps),
    }


def _fact_json(fact: Fact) -> dict[str, str | None]:
    return {"what": fact.what, "on": fact.place or None, "value": fact.value}
