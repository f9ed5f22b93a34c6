"""Rule collections: documents of one file that share what they have in common.

Source: Sigma rule collections (`action`), as pySigma reads them:

- `action: global`: its keys belong to every rule that follows in the file, until the next global document;
- `action: reset`: that ends;
- `action: repeat`: the rule before it once more, with these keys changed or added.

Whatever is no rule (`is_rule`) takes nothing from a global document. Two deliberate differences from pySigma, which
lets the global document win and gives all of its rules one id: a rule's own keys win, but where they decide what it
matches (`_DECIDING`) two values are an error on the rule; and of rules that inherited one id the first keeps it, the
others get ids made of it and their number. What is repeated in a file is bounded: twenty bytes ask for a whole rule.
"""

import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from secmon.sigma.documents import Path, Plain, YamlDocument
from secmon.sigma.limits import MAX_REPEATED_CHARS, MAX_REPEATED_NODES

_DECIDING = ("detection", "logsource", "taxonomy")
ACTIONS = ("global", "reset", "repeat")
_OURS = ("override", "maintenance")


def assembled(documents: Iterable[YamlDocument]) -> Iterator[YamlDocument]:
    """Yield the rules of a file's documents; one with an action that does not exist is left as it is."""
    shared: YamlDocument | None = None
    before: YamlDocument | None = None
    inherited: dict[str, int] = {}
    room = _Room()
    for document in documents:
        action = document.data.get("action") if isinstance(document.data, dict) else None
        if action == "global":
            shared = before = _without_action(document)
        elif action == "reset":
            shared = None
        elif action == "repeat" and before is not None:
            if room.holds(before, document):
                before = _merged(before, _without_action(document))
                yield _renumbered(before, document, inherited)
            else:
                yield replace(document, is_too_much=True)
        elif action is not None or not is_rule(document.data):
            yield document
        elif shared is not None and not room.holds(shared, document):
            yield replace(document, is_too_much=True)
        else:
            before = document if shared is None else _completed(document, shared)
            yield _renumbered(before, document, inherited)


@dataclass(slots=True)
class _Room:
    """What may still be put together in a file."""

    nodes: int = MAX_REPEATED_NODES
    chars: int = MAX_REPEATED_CHARS

    def holds(self, base: YamlDocument, over: YamlDocument) -> bool:
        """Take the room of one document laid over another; tell whether there was enough."""
        self.nodes -= base.nodes + over.nodes
        self.chars -= base.chars + over.chars
        return self.nodes >= 0 and self.chars >= 0


def is_rule(data: Plain) -> bool:
    """Tell whether a document is a rule over single events, or part of one; our own kinds have no detection."""
    if not isinstance(data, dict) or "correlation" in data or "filter" in data:
        return False
    return "detection" in data or not any(kind in data for kind in _OURS)


def _without_action(document: YamlDocument) -> YamlDocument:
    data = {key: value for key, value in document.data.items() if key != "action"}
    return replace(document, data=data)


def _merged(base: YamlDocument, over: YamlDocument) -> YamlDocument:
    """Return the first document with the keys of the second laid over it."""
    return replace(
        over,
        data=_laid_over(base.data, over.data),
        lines={**base.lines, **over.lines},
        nodes=base.nodes + over.nodes,
        chars=base.chars + over.chars,
    )


def _completed(document: YamlDocument, shared: YamlDocument) -> YamlDocument:
    """Return a document with what the global one adds; a value that both have is named as its `conflict`."""
    path = _conflict(shared.data, {key: document.data[key] for key in _DECIDING if key in document.data}, ())
    return replace(_merged(shared, document), conflict=path or ())


def _laid_over(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for key, value in over.items():
        below = result.get(key)
        result[key] = _laid_over(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return result


def _conflict(base: Mapping[str, Any], over: Mapping[str, Any], path: Path) -> Path | None:
    for key, value in over.items():
        if key not in base or base[key] == value:
            continue
        if not isinstance(base[key], dict) or not isinstance(value, dict):
            return (*path, key)
        if (found := _conflict(base[key], value, (*path, key))) is not None:
            return found
    return None


def _renumbered(rule: YamlDocument, written: YamlDocument, inherited: dict[str, int]) -> YamlDocument:
    """Return a rule with an id of its own where it has only inherited one that was given away already."""
    identity = rule.data.get("id")
    if not isinstance(identity, str):
        return rule
    if "id" in written.data:
        inherited.setdefault(identity, 1)
        return rule
    number = inherited[identity] = inherited.get(identity, 0) + 1
    if number == 1 and written is rule:
        return rule
    own = identity if number == 1 else str(uuid.uuid5(uuid.NAMESPACE_OID, f"secmon:{identity}:{number}"))
    return replace(rule, data={**rule.data, "id": own})
