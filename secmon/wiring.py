"""Settings to concrete collectors, stores, notifiers and writers: the only place that chooses."""
