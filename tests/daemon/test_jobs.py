"""Jobs: the same answer as in place, from another process; errors keep their kind."""

from pathlib import Path

import pytest

from secmon.app import audit
from secmon.app.operations import OPERATIONS
from secmon.config import load_settings
from secmon.daemon.jobs import Jobs
from secmon.errors import NotFoundError
from secmon.model.access import job_access
from secmon.wiring import opened


def test_a_job_answers_like_the_operation_itself(tmp_path: Path) -> None:
    settings = load_settings(flags={"secmon.state": str(tmp_path / "state")}, environ={"HOME": str(tmp_path)})
    access = job_access("test")
    with opened(settings, writable=True, content=False) as house:
        audit.append(house, access, "test", "nothing")
        jobs = Jobs(settings)
        try:
            assert jobs.run("sources.list", access, {}) == OPERATIONS["sources.list"].run(house, access, {})
            with pytest.raises(NotFoundError, match="no such alert"):
                jobs.run("alerts.show", access, {"id": "0" * 32})
        finally:
            jobs.close()
