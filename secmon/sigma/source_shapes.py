"""What a log source is, to whoever writes the tables of them (`sources.py`, `clouds.py`)."""

from collections.abc import Mapping
from dataclasses import dataclass, field

# Field → accepted values in lower case; an empty set accepts any value, but one must be there.
Alternative = Mapping[str, frozenset[str]]
Table = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Source:
    """A log source.

    Args:
        options: an event is of it if one of these alternatives fits.
        fields: Sigma's names → fields in events.
        prefixes: below which names stand that `fields` does not have, besides as they are.
        is_open: there are such names; otherwise an unknown name is an error on the rule.
        roots: first part of a name → where what stands below it is, besides.
    """

    options: tuple[Alternative, ...]
    fields: Table = field(default_factory=dict)
    prefixes: tuple[str, ...] = ()
    is_open: bool = True
    roots: Mapping[str, str] = field(default_factory=dict)

    def names(self, name: str) -> tuple[str, ...] | None:
        """Return the event fields of one of Sigma's names, None if it is unknown."""
        known = self.fields.get(name, ())
        if not self.is_open:
            return known or None
        root, _, rest = name.partition(".")
        below = (f"{self.roots[root]}.{rest}",) if rest and root in self.roots else ()
        return tuple(dict.fromkeys((*known, name, *(f"{prefix}.{name}" for prefix in self.prefixes), *below)))


def fits(**fields: str | tuple[str, ...]) -> Alternative:
    """Return events whose fields (`__` for the dot) have one of these values; of "" any value."""
    return {
        name.replace("__", "."): frozenset((values,) if isinstance(values, str) else values) - {""}
        for name, values in fields.items()
    }


def sent(
    dataset: str,
    /,
    *more: str,
    prefixes: tuple[str, ...] = (),
    roots: Mapping[str, str] | None = None,
    **names: str | tuple[str, ...],
) -> Source:
    """Return the source of a data set; `names` are fields by Sigma's name, `__` for the dot."""
    table = {name.replace("__", "."): (to,) if isinstance(to, str) else to for name, to in names.items()}
    return Source((fits(event__dataset=(dataset, *more)),), table, prefixes or (dataset,), roots=roots or {})


def of(*modules: str, vendor: str = "", fields: Table | None = None, prefixes: tuple[str, ...] = ()) -> Source:
    """Return the source of everything that some modules send, or devices of a vendor."""
    options = [fits(event__module=modules), fits(service__type=modules)]
    if vendor:
        options.append(fits(observer__vendor=vendor))
    return Source(tuple(options), fields or {}, prefixes or modules)
