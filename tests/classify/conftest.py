"""The shipped classifiers, loaded once."""

from datetime import date
from pathlib import Path

import pytest

from secmon.classify.classifier import Classifier
from secmon.classify.definition import Definition, load_definitions
from secmon.classify.detector import Detector

CLASSIFIERS = Path(__file__).parent.parent.parent / "classifiers"
TODAY = date(2026, 11, 21)


@pytest.fixture(scope="session")
def definitions() -> tuple[Definition, ...]:
    """Return the shipped definitions."""
    loaded, errors = load_definitions(
        [(path.name, path.read_text(encoding="utf-8")) for path in sorted(CLASSIFIERS.glob("*.yaml"))]
    )
    assert errors == []
    return loaded


@pytest.fixture(scope="session")
def detector(definitions: tuple[Definition, ...]) -> Detector:
    """Return a detector for them."""
    return Detector(definitions, today=TODAY)


@pytest.fixture(scope="session")
def classifier(definitions: tuple[Definition, ...]) -> Classifier:
    """Return a classifier with the shipped policy."""
    return Classifier(definitions, token_key=b"k" * 32, today=TODAY)
