"""Tables of the two kinds of database files, as numbered steps.

`PRAGMA user_version` is the number of steps a file has seen. A step that was released is never edited; a change is a
new step.
"""

from dataclasses import dataclass

from secmon.model.batch import INDEXED_FIELDS


@dataclass(frozen=True, slots=True)
class Schema:
    """One kind of database file.

    Args:
        application_id: SQLite's mark of whose file it is (https://www.sqlite.org/fileformat.html, offset 68).
        migrations: steps from an empty file to the current schema.
    """

    application_id: int
    migrations: tuple[str, ...]

    @property
    def version(self) -> int:
        """Number of the newest step."""
        return len(self.migrations)


# Dictionary fields: `INDEXED_FIELDS` have their index as number, these follow far behind.
FIELD_RULE = 100
FIELD_RULE_DIGEST = 101
FIELD_CLASS = 102
FIELD_SUPPRESSED = 103
FIELD_SHAPE = 104
FIELD_UNIT = INDEXED_FIELDS.index("unit.id")
FIELD_ASSET = INDEXED_FIELDS.index("asset.id")

# Columns c0, c1 … of `event` hold numbers of the dictionary, in the order of INDEXED_FIELDS.
COLUMNS = tuple(f"c{number}" for number in range(len(INDEXED_FIELDS)))


def any_word(field: int) -> int:
    """Return the word that stands in `posting` for every value of a field of `event`."""
    return -1 - field


_EVENT_COLUMNS = ", ".join(f"{column} INTEGER" for column in COLUMNS)
_PARTITION_1 = f"""
CREATE TABLE facts (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  events INTEGER NOT NULL, hits INTEGER NOT NULL, findings INTEGER NOT NULL,
  first INTEGER, last INTEGER,
  last_commit INTEGER NOT NULL
);
INSERT INTO facts VALUES (1, 0, 0, 0, NULL, NULL, 0);

-- Every text of an indexed column, once. Texts with U+001F are lists.
CREATE TABLE word (
  id INTEGER PRIMARY KEY, field INTEGER NOT NULL, text TEXT NOT NULL, list INTEGER NOT NULL,
  UNIQUE (field, text)
);
CREATE INDEX word_list ON word (field) WHERE list;

-- Bodies of consecutive events, one JSON object a line, compressed. `first` is the seq of its first event.
CREATE TABLE block (
  first INTEGER PRIMARY KEY, events INTEGER NOT NULL, since INTEGER NOT NULL, until INTEGER NOT NULL,
  data BLOB NOT NULL
);
-- The same without the bodies, for walks over all blocks.
CREATE INDEX block_span ON block (first, events, since, until);

-- Blocks in which a word stands, and in how many of their events: one row for up to 500. `any_word` stands for whatever
-- value a field has.
CREATE TABLE posting (
  word INTEGER NOT NULL, block INTEGER NOT NULL, events INTEGER NOT NULL, PRIMARY KEY (word, block)
) WITHOUT ROWID;

CREATE TABLE event (
  seq INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, time INTEGER NOT NULL, digest BLOB NOT NULL,
  {_EVENT_COLUMNS}
);
-- The order in which events are read; the id in it keeps a million equal times from being sorted for every page.
CREATE INDEX event_time ON event (time, id);

CREATE TABLE batch (
  commit_number INTEGER PRIMARY KEY, stream TEXT NOT NULL, number INTEGER NOT NULL,
  source TEXT NOT NULL, generation TEXT NOT NULL, epoch INTEGER NOT NULL,
  offset_from INTEGER NOT NULL, offset_to INTEGER NOT NULL, ruleset TEXT NOT NULL,
  received_at INTEGER NOT NULL, counts TEXT NOT NULL, hits INTEGER NOT NULL,
  first_event INTEGER, last_event INTEGER, state TEXT NOT NULL,
  UNIQUE (stream, number)
);

CREATE TABLE hit (
  seq INTEGER PRIMARY KEY, event_id BLOB NOT NULL, rule INTEGER NOT NULL, rule_digest INTEGER NOT NULL,
  level INTEGER NOT NULL, time INTEGER NOT NULL, alert TEXT, unit INTEGER, asset INTEGER,
  commit_number INTEGER NOT NULL, detail BLOB NOT NULL,
  UNIQUE (event_id, rule)
);
CREATE INDEX hit_time ON hit (time);
CREATE INDEX hit_alert ON hit (alert, time) WHERE alert IS NOT NULL;
CREATE INDEX hit_rule ON hit (rule, time);
CREATE INDEX hit_asset ON hit (asset, time) WHERE asset IS NOT NULL;
CREATE INDEX hit_commit ON hit (commit_number);
CREATE TABLE hit_key (key TEXT NOT NULL, hit INTEGER NOT NULL, PRIMARY KEY (key, hit)) WITHOUT ROWID;

-- `mark` tells two findings of one event apart: a digest of all they say.
CREATE TABLE finding (
  seq INTEGER PRIMARY KEY, event_id BLOB NOT NULL, mark BLOB NOT NULL, time INTEGER NOT NULL,
  class INTEGER NOT NULL, unit INTEGER, asset INTEGER, commit_number INTEGER NOT NULL, detail BLOB NOT NULL,
  UNIQUE (event_id, mark)
);
CREATE INDEX finding_time ON finding (time);
CREATE INDEX finding_class ON finding (class, time);
CREATE INDEX finding_asset ON finding (asset, time) WHERE asset IS NOT NULL;
"""  # noqa: S608  built from constants

# What suppresses a hit, in the order in which it is counted over time.
_PARTITION_2 = """
ALTER TABLE hit ADD COLUMN suppressed INTEGER;
CREATE INDEX hit_suppressed ON hit (suppressed, time) WHERE suppressed IS NOT NULL;
"""

# Keys as bytes, and with the time: what a correlation asks for lies side by side, whatever else its key has.
_PARTITION_3 = """
ALTER TABLE hit_key RENAME TO hit_key_1;
CREATE TABLE hit_key (key NOT NULL, time INTEGER NOT NULL, hit INTEGER NOT NULL, PRIMARY KEY (key, time, hit))
WITHOUT ROWID;
INSERT INTO hit_key
SELECT CASE WHEN length(k.key) = 16 AND k.key NOT GLOB '*[^0-9a-f]*' THEN unhex(k.key) ELSE k.key END, h.time, k.hit
FROM hit_key_1 k JOIN hit h ON h.seq = k.hit;
DROP TABLE hit_key_1;
"""

# Which fields a hit's detail has values of: a word, the same for all hits of a rule.
_PARTITION_4 = "ALTER TABLE hit ADD COLUMN shape INTEGER;"

_CONTROL_1 = """
CREATE TABLE document (
  seq INTEGER PRIMARY KEY, kind TEXT NOT NULL, id TEXT NOT NULL, version INTEGER NOT NULL, body BLOB NOT NULL,
  UNIQUE (kind, id)
);
CREATE TABLE document_key (
  document INTEGER NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, kind TEXT NOT NULL, id TEXT NOT NULL,
  PRIMARY KEY (document, name)
) WITHOUT ROWID;
CREATE INDEX document_key_value ON document_key (kind, name, value, id);
CREATE TABLE document_unit (
  document INTEGER NOT NULL, unit TEXT NOT NULL, PRIMARY KEY (document, unit)
) WITHOUT ROWID;
"""

PARTITION = Schema(
    application_id=0x5345_4550, migrations=(_PARTITION_1, _PARTITION_2, _PARTITION_3, _PARTITION_4)
)  # "SEEP"
CONTROL = Schema(application_id=0x5345_4352, migrations=(_CONTROL_1,))  # "SECR"
VERSION = CONTROL.version + PARTITION.version
"""Of the store as a whole: steps of both kinds of files, so that it grows with a step of either."""
