"""Sources of records: one file a kind of source, each implementing ports.Collector."""
