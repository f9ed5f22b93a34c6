"""`python -m bench`: see bench.pipeline; with the word `elasticsearch` bench.elasticsearch, with `detect` bench.peers.

Modules of their own, because spawned processes cannot import `__main__`.
"""

import sys

if __name__ == "__main__":
    if sys.argv[1:2] == ["elasticsearch"]:
        from bench.elasticsearch import main as elasticsearch

        elasticsearch(sys.argv[2:])
    elif sys.argv[1:2] == ["detect"]:
        from bench.peers import main as detect

        detect(sys.argv[2:])
    else:
        from bench.pipeline import main

        main()
