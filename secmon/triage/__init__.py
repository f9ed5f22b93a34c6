"""Decisions about alerts: grouping, revisions, states, reopening. Pure."""
