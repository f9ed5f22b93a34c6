"""Writers of official documents: one model, three formats with the same text (docs/documents.md)."""
