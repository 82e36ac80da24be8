"""One of several programs with one file of tokens: ``python -m`` with an issuer and the file; asks who is signed in.

It runs with the packages of ``propylon[client]`` alone. The answers are printed as one line of JSON: how often each
status or code, and the sessions that were seen.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter

# As if the server's packages were not there; httpx needs idna.
SERVER = (
    "argon2", "asyncpg", "click", "email_validator", "granian", "jinja2", "keyring", "prometheus_client", "redis",
    "rich", "starlette", "ua_parser", "uvloop",
)  # fmt: skip


class Missing:
    """A finder in front of all others, which has lost these packages."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        """Refuse to find them."""
        if name.partition(".")[0] in SERVER:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


sys.meta_path.insert(0, Missing())

import httpx  # noqa: E402 - what comes before is the point

from propylon import PropylonError  # noqa: E402
from propylon.client import FilePlace, PropylonAuth  # noqa: E402


def main(issuer: str, path: str, times: int) -> None:
    """Ask so many times, and say what the answers were."""
    answers: Counter[str] = Counter()
    sessions = set()
    with httpx.Client(auth=PropylonAuth(issuer, place=FilePlace(path)), base_url=issuer, timeout=30) as client:
        for _ in range(times):
            try:
                answer = client.get("/v1/session")
                answers[str(answer.status_code)] += 1
                sessions.add(answer.json()["session"]["id"])
            except PropylonError as error:
                answers[error.code] += 1
            time.sleep(0.05)
    rooms = sorted(name for name in sys.modules if name.startswith("propylon.") and name.count(".") == 1)
    print(json.dumps({"answers": answers, "sessions": sorted(sessions), "rooms": rooms}))  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
