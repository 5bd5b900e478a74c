"""`tocsin` that takes as many calls a minute as Schemathesis makes."""

from tocsin import cli
from tocsin.api import pace

if __name__ == "__main__":
    pace.CALLS = 1_000_000
    cli.main()
