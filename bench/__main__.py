"""`python -m bench`: see bench.pipeline. A module of its own, because spawned processes cannot import `__main__`."""

from bench.pipeline import main

if __name__ == "__main__":
    main()
