"""A process that moves a store and is killed on the way: `python -m tests.app.moving FROM TO FOLDER AFTER`."""

import sys
from pathlib import Path

from secmon.app.move import move
from tests.app.houses import OPERATOR
from tests.app.moves import Strike, die, house_on


def main(source: str, target: str, folder: Path, after: int) -> None:
    """Move `folder/old` to `folder/new`; be killed at a moment of the target, if it comes to that."""
    with house_on(source, folder / "old") as old, house_on(target, folder / "new") as new:
        move(old, Strike(after, die).on(new), OPERATOR)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]))
