"""Files of threat intelligence: CSV, STIX 2.1 and MISP, known by their content, read into indicators.

Whatever is not supported is named with its place. Files come from strangers: size, number and nesting are bounded.
"""

from datetime import datetime, timedelta

import orjson

from secmon.parse.intel_csv import read_csv
from secmon.parse.intel_misp import read_misp
from secmon.parse.intel_reading import MAX_BYTES, Feed, Reading
from secmon.parse.intel_stix import read_stix


def read_feed(path: str, data: bytes, *, written: datetime, ttl: timedelta) -> Feed:
    """Read one file.

    Args:
        path: its name, for messages.
        data: its bytes.
        written: when it was written.
        ttl: how long an indicator counts that names no end.
    """
    reading = Reading(path, written, ttl)
    if len(data) > MAX_BYTES:
        reading.refuse("the file of indicators is larger than 64 MiB", "1")
        return reading.result("csv")
    if data.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] not in {b"{", b"["}:
        read_csv(reading, data)
        return reading.result("csv")
    try:
        content = orjson.loads(data.removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError as error:
        reading.refuse("this is no JSON that can be read", str(error.lineno), hint="nested too deeply, or cut off")
        return reading.result("stix")
    if isinstance(content, dict) and content.get("type") == "bundle":
        read_stix(reading, content)
        return reading.result("stix")
    read_misp(reading, content)
    return reading.result("misp")
