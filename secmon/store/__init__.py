"""Stores: adapters of the ports EventLog and Records, and the vault of raw bytes."""
