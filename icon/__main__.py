"""``python -m icon``: the command line."""

from icon.cli.main import main

if __name__ == "__main__":
    main()
