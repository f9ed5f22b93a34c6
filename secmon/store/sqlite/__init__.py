"""The embedded store: SQLite through apsw; one file per partition of events, one for all documents."""
