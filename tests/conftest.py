"""What every test shares, and which groups of tests ran."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

# How fast a machine is today is no property of the code: no test is judged by the clock.
settings.register_profile("secmon", deadline=None)
settings.load_profile("secmon")

# group marker → what switches it on
_GROUPS = {
    "elasticsearch": "SECMON_ES_URL",
    "public_rules": "SECMON_PUBLIC_RULES",
    "corpora": "SECMON_CORPORA",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out the groups whose data or server is not there; the summary names them."""
    for item in items:
        for marker, variable in _GROUPS.items():
            if item.get_closest_marker(marker) and not os.environ.get(variable):
                item.add_marker(pytest.mark.skip(reason=f"{marker}: {variable} is not set"))


def pytest_report_header() -> list[str]:
    """Say which groups run."""
    return [
        f"group {marker}: {'runs' if os.environ.get(variable) else f'does not run ({variable} is not set)'}"
        for marker, variable in _GROUPS.items()
    ]


@pytest.fixture(scope="session", autouse=True)
def _own_user_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep what commands prepare out of the home folder of whoever runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield
