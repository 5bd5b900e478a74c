"""`tocsin` that waits for a database which another program holds for 0.3 seconds instead of five."""

from tocsin import cli
from tocsin.db import engine

if __name__ == "__main__":
    engine.BUSY_TIMEOUT_MS = 300
    cli.main()
