"""Vocabulary: frozen values that every layer speaks. Pure."""
