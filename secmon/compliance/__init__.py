"""Decisions about controls: assessments and their evidence. Pure."""
