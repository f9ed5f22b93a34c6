"""`secmon parse`: see what a parser makes of files. Touches no store."""

import json
import sys
from datetime import datetime, tzinfo

import click

from secmon.cli.output import complain, flush, write_json
from secmon.cli.params import AUTO, KindType, TimeType, ZoneType
from secmon.clock import SystemClock
from secmon.collect.oneshot import Reading, open_reading
from secmon.errors import ParseError
from secmon.model.event import Event, Frame
from secmon.model.ids import event_id
from secmon.pipeline import parse_frames

_FILE = click.Path(exists=True, dir_okay=False, allow_dash=True)


@click.command
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=_FILE)
@click.option("--source", type=KindType(auto=True), required=True, help="Kind of the files, or auto.")
@click.option("--zone", type=ZoneType(), default="Asia/Shanghai", show_default=True, help="Zone of their stamps.")
@click.option("--year-from", type=TimeType(), help='What is "now" for stamps without a year.')
def parse(files: tuple[str, ...], source: str, zone: tzinfo, year_from: datetime | None) -> None:
    """Print the events in FILE... as ECS, one JSON object a line, unmasked; "-" is standard input.

    Files may be gzipped. Malformed records are named on standard error, and the exit status is then 5.

    Example: secmon parse --source syslog --zone Asia/Shanghai auth.log
    """
    now = year_from or SystemClock().now()
    malformed = 0
    for path in files:
        try:
            reading = open_reading(path, source=source, zone=zone)
            if source == AUTO:
                complain(f"{path}: taken for {reading.lane.kind.name} ({reading.confidence:.0%})")
            for frames in reading.frames:
                malformed += _print(reading, frames, now)
        except ParseError as error:  # a gzip file that ends too early: what was right before has been printed
            complain(error)
            malformed += 1
    if malformed:
        raise ParseError("malformed records: {count}", values={"count": malformed})


def _print(reading: Reading, frames: tuple[Frame, ...], now: datetime) -> int:
    """Print the events of some records; return how many of these are malformed."""
    parsed = parse_frames(frames, reading.lane, now=now)
    for event, frame, sub_index in parsed.events:
        event["event.id"] = event_id(reading.prefix, frame.offset, sub_index).hex()
        event["secmon.record"] = frame.number
        if frame.line and (frame.line != frame.number or b"\n" in frame.raw):
            event["secmon.line"] = frame.line
        _write(event)
    flush()
    for _, _, error in parsed.malformed:
        complain(error)
    return len(parsed.malformed)


def _write(event: Event) -> None:
    try:
        write_json(event)
    except TypeError:
        # Lone surrogates out of JSON escapes, or integers beyond 64 bits: printed as the escapes they came from.
        text = json.dumps(event, ensure_ascii=False)
        sys.stdout.buffer.write(text.encode("utf-8", "backslashreplace") + b"\n")
