"""`python -m secmon` is the command `secmon`."""

from secmon.cli.root import main

if __name__ == "__main__":
    main()
