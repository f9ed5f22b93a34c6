"""Use cases, one a file: load, decide, save, audit; they know ports, a Principal and a Scope, never an adapter."""
