"""Writers of documents: HTML, DOCX and PDF from one model."""
