"""`python -m sweep.cli`: the command line where its script is not on the path."""

from sweep.cli.app import main

if __name__ == "__main__":
    main()
