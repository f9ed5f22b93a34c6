"""Notifiers: one file a channel, each implementing ports.Notifier."""
