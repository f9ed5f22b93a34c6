"""Where else a found value stands: the same value elsewhere in the event, plain or escaped, is masked too."""

from collections.abc import Iterable, Sequence

from secmon.classify.detector import Match, is_bounded
from secmon.classify.views import View

# (start, end, match): what to replace in a text, in order, none overlapping.
Spans = list[tuple[int, int, Match]]

# A shorter password is also some ordinary word of the record; masking that everywhere would blind the rules.
_LEAST_SECRET = 6


def spread(text: Sequence[View], matches: Iterable[Match], hidden: Sequence[Match]) -> Spans:
    """Return what has to be masked in a text.

    Args:
        text: the views of the text.
        matches: what the detector found in it.
        hidden: values to be hidden wherever they stand, found in any text of the same event; their classes are
            the ones that are masked at all.
    """
    classes = {match.definition.id for match in hidden}
    spans = [(match.start, match.end, match) for match in matches if match.definition.id in classes]
    for view in text:
        for match in hidden:
            for surface in {match.surface, match.value, match.value.lower()}:
                spans += _occurrences(view, surface, match)
    return _disjoint(spans)


def _occurrences(view: View, surface: str, match: Match) -> Spans:
    if match.definition.after_key and (len(surface) < _LEAST_SECRET or surface == view.text):
        return []
    found: Spans = []
    place = view.text.find(surface)
    while place >= 0:
        end = place + len(surface)
        if is_bounded(view.text, place, end):
            found.append((*view.source_span(place, end), match))
        place = view.text.find(surface, place + 1)
    return found


def _disjoint(spans: Spans) -> Spans:
    """Join spans that overlap; the longest of them decides how they are masked."""
    result: Spans = []
    for start, end, match in sorted(spans, key=lambda span: (span[0], -span[1])):
        if result and start < result[-1][1]:
            first, last, kept = result[-1]
            result[-1] = (first, max(last, end), kept)
        else:
            result.append((start, end, match))
    return result
