"""Composition of official documents (通报、报告). Pure."""
