"""What "a word" is in text search: one meaning on every store.

Words are runs of letters and digits in lower case; each Han character is a word of its own; a query of several
words is a phrase. Elasticsearch's `standard` analysis cuts otherwise (it keeps `portal.example.edu.cn` and `192.0.2.1`
in one piece), so its index is given the words as they are cut here (docs/elasticsearch.md).
"""

import re

# Han characters, extensions A–H included, stand alone; any other letter or digit joins its neighbours.
_HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"
_WORD = re.compile(rf"[{_HAN}]|[^\W_{_HAN}]+")


def words(text: str) -> list[str]:
    """Return the words of a text, in order."""
    return [word.lower() for word in _WORD.findall(text)]


def has_phrase(text: str, phrase: list[str]) -> bool:
    """Tell whether the words of `phrase` stand in `text` side by side; an empty phrase stands everywhere."""
    if not phrase:
        return True
    found, size = words(text), len(phrase)
    return any(found[at : at + size] == phrase for at in range(len(found) - size + 1))
