"""Classifier: personal and important data in text. Pure."""
