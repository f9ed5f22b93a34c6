"""From a source's name to the lane its records take."""

from secmon.app.installation import Installation, Source
from secmon.errors import ConfigError
from secmon.parse.registry import KINDS
from secmon.pipeline import Lane


def source_of(house: Installation, name: str, kind: str = "") -> Source:
    """Return a configured source, or a plain one called `name` of that kind.

    Raises:
        ConfigError: no source has this name and it is no kind either.
    """
    source = house.sources.get(name)
    if source is not None:
        return source
    wanted = kind or name
    if wanted not in KINDS:
        raise ConfigError(
            "{name} is neither a configured source nor a kind",
            hint="kinds: {kinds}",
            values={"name": name, "kinds": ", ".join(sorted(KINDS))},
        )
    return Source(name=name, kind=wanted, zone=house.zone)


def lane_of(house: Installation, name: str, kind: str, generation: str, place: str = "") -> Lane:
    """Return the lane of one stream of a source."""
    source = source_of(house, name, kind)
    return Lane(
        source=source.name,
        generation=generation,
        kind=KINDS[kind or source.kind],
        zone=source.zone,
        place=place,
        asset=source.asset,
        unit=source.unit,
    )
