"""Records to ECS events: one file a log source. Pure."""
