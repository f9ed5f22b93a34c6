"""Reading all documents that a query finds, a page at a time: none is forgotten, and never are all of them held."""

from collections.abc import Iterator
from dataclasses import replace

from secmon.model.access import Access
from secmon.model.record import Document, Page, RecordQuery
from secmon.ports import Records


def pages(records: Records, access: Access, query: RecordQuery) -> Iterator[Page]:
    """Yield the pages of a query; `query.limit` is how many documents one has at most."""
    while True:
        page = records.find(access, query)
        yield page
        if not page.cursor:
            return
        query = replace(query, after=page.cursor)


def every(records: Records, access: Access, query: RecordQuery) -> Iterator[Document]:
    """Yield the documents of all pages of a query.

    A page begins behind the last document of the one before it: who changes or removes what came already misses
    nothing by it.
    """
    for page in pages(records, access, query):
        yield from page.documents
