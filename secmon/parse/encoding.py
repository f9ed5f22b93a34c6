"""Bytes to text: UTF-8, else GB18030, else undecodable bytes escaped. Never an error.

GB18030 is what Chinese Windows and older Java and Apache installations write; it contains GBK and GB 2312.
"""

import re

UTF_8 = "utf-8"
GB18030 = "gb18030"
ESCAPED = "escaped"

# GB 18030 gives nearly every pair of high bytes a meaning. What it maps to controls, private use or
# noncharacters is never written in a log, so such bytes are something else: Latin-1, a TLS handshake, noise.
_IMPLAUSIBLE = re.compile("[\x80-\x9f\ue000-\uf8ff\ufdd0-\ufdef\ufff0-\uffff\U000f0000-\U0010ffff]")


def decode(raw: bytes) -> tuple[str, str]:
    r"""Return the text of a record and how it was read: "utf-8", "gb18030" or "escaped".

    Escaped text is UTF-8 in which each undecodable byte stands as \xNN. A byte order mark belongs to a stream,
    not to a record: framing removes it.
    """
    try:
        return raw.decode(UTF_8), UTF_8
    except UnicodeDecodeError:
        pass
    try:
        text = raw.decode(GB18030)
    except UnicodeDecodeError:
        return raw.decode(UTF_8, "backslashreplace"), ESCAPED
    if _IMPLAUSIBLE.search(text):
        return raw.decode(UTF_8, "backslashreplace"), ESCAPED
    return text, GB18030
