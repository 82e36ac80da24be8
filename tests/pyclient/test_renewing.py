"""Signing in, renewing and repeating: how many requests, in which order, and never one too many."""

from __future__ import annotations

import httpx
import pytest
from tests.pyclient.stage import ORDER, PASSWORD, RENEW, SIGN_IN, WHO, Stage, problem

from propylon import CredentialRefused


def test_the_first_request_signs_in_and_the_next_ones_do_not(stage: Stage) -> None:
    """Zero extra requests while the token is fresh."""
    auth = stage.auth()
    with stage.client(auth) as client:
        answers = [client.get("/v1/session") for _ in range(3)]
    assert {answer.json()["user"]["id"] for answer in answers} == {stage.user_id} == {auth.user_id}
    assert stage.network.sent == [SIGN_IN, WHO, WHO, WHO]


async def test_plain_and_async_clients_share_one_session(stage: Stage) -> None:
    """From the same object."""
    auth = stage.auth()
    with stage.client(auth) as client:
        first = client.get("/v1/session").json()
    async with stage.async_client(auth) as client:
        second = (await client.get("/v1/session")).json()
    assert first["session"]["id"] == second["session"]["id"]
    assert stage.network.sent == [SIGN_IN, WHO, WHO]
