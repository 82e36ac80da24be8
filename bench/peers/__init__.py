"""What users of the frameworks have today, set up as its guide says, with the app's route of ``bench.apps``.

Each app also signs somebody in at ``/sign-in`` and answers with the header that says so. Where the guide leaves a
choice, the faster one is made: connections are kept, and a user is loaded only where the library cannot do without.
"""

import os

SECRET = "of a benchmark, where nothing is secret, and long enough for HS256"
WHO = "5f0c6a3e-6c7a-4f5e-9b1a-2d7f3a9c1e55"
HOUR_S = 3600


def database() -> str:
    """Return the path of the SQLite file of this run."""
    return os.environ["BENCH_DATABASE"]
