"""Console: one module a page; each page also answers as JSON."""
