"""An app's own Propylon, taken over by a test: real sessions, real refusals, nothing left behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from tests.http.driving import Connect

from propylon import CredentialRefused, Propylon, PropylonError
from propylon.core.password import Hasher
from propylon.errors import Conflict, RuleRefused
from propylon.testing import PASSWORD, FakeClock, Rehearsal, SecurityEvents, SessionHolder, rehearsal
from propylon.testing.session_holder import SessionHolder as Holder

LOCAL = "http://localhost:8000"


def code(client: TestClient, holder: SessionHolder, path: str = "/me") -> str:
    """Return how a request of this device is answered: the code of the refusal, or nothing."""
    answer = client.get(path, headers=holder.headers())
    return "" if answer.status_code == 200 else str(answer.json()["code"])


@pytest.mark.parametrize("mode", ["cookie", "bearer", "hybrid"])
def test_one_line_signs_in_with_the_given_roles(app: FastAPI, propylon_users: Rehearsal, mode: Any) -> None:
    """In every mode; two people are two people."""
    admin, visitor = propylon_users.sign_in(roles=["admin"], mode=mode), propylon_users.sign_in(mode=mode)
    with TestClient(app) as client:
        assert client.get("/me", headers=admin.headers()).json() == ["admin"]
        assert client.get("/me", headers=visitor.headers()).json() == []
    assert admin.principal.permissions == {"orders.write"}
    assert admin.user.id != visitor.user.id


@pytest.mark.parametrize("mode", ["cookie", "bearer"])
@pytest.mark.parametrize(
    ("fate", "told"),
    [
        (Holder.end, "session_revoked"),
        (Holder.evict, "session_evicted"),
        (Holder.disable, "user_disabled"),
        (Holder.expire, {"cookie": "session_expired", "bearer": "token_expired"}),
    ],
    ids=["end", "evict", "disable", "expire"],
)
def test_what_happens_to_a_session_is_told_at_its_next_request(
    app: FastAPI, propylon_users: Rehearsal, mode: Any, fate: Any, told: Any
) -> None:
    """While the app runs in its own thread, by the app's own gate; nobody else's session is concerned."""
    minji, other = propylon_users.sign_in(mode=mode), propylon_users.sign_in(mode=mode, ip="192.0.2.9")
    with TestClient(app) as client:
        assert code(client, minji) == code(client, other) == ""
        fate(minji)
        assert code(client, minji) == (told if isinstance(told, str) else told[mode])
        if fate is not Holder.expire:
            assert code(client, other) == ""
    with pytest.raises(CredentialRefused):
        _ = minji.principal


def test_a_device_of_an_account_leaves_the_others_alone(app: FastAPI, propylon_users: Rehearsal) -> None:
    """The same address again is the same account on another device."""
    desktop, phone = propylon_users.sign_in("minji@example.org"), propylon_users.sign_in("Minji@Example.org")
    assert desktop.user.id == phone.user.id
    phone.end()
    with TestClient(app) as client:
        assert (code(client, desktop), code(client, phone)) == ("", "session_revoked")


def test_a_sent_token_expires_and_the_device_renews(app: FastAPI, propylon_users: Rehearsal) -> None:
    """At the second; what was taken before stays what it was."""
    minji = propylon_users.sign_in(mode="bearer")
    sent = minji.headers()
    with TestClient(app) as client:
        propylon_users.clock.advance(299)
        assert client.get("/me", headers=sent).status_code == 200
        propylon_users.clock.advance(1)
        assert client.get("/me", headers=sent).json()["code"] == "token_expired"
        assert code(client, minji) == ""


def test_an_idle_session_is_over_and_a_used_one_is_not(app: FastAPI, propylon_users: Rehearsal) -> None:
    """The life-times are the app's settings, and time is the test's."""
    idle, used = propylon_users.sign_in(), propylon_users.sign_in()
    with TestClient(app) as client:
        for _ in range(8):
            propylon_users.clock.advance(24 * 60 * 60)
            assert code(client, used) == ""
        assert code(client, idle) == "session_expired"


def test_a_fresh_sign_in_grows_old_and_is_confirmed(app: FastAPI, propylon_users: Rehearsal) -> None:
    """As giving the password again does; the cookie from before it is not what counts."""
    minji = propylon_users.sign_in()
    with TestClient(app) as client:
        assert code(client, minji, "/fresh") == ""
        propylon_users.clock.advance(61)
        before = minji.headers()
        assert code(client, minji, "/fresh") == "reauthentication_required"
        minji.confirm()
        assert code(client, minji, "/fresh") == ""
        assert client.get("/fresh", headers=before).json()["code"] == "reauthentication_required"


def test_a_forged_request_is_refused_as_in_service(app: FastAPI, propylon_users: Rehearsal) -> None:
    """A cookie is ambient, a token is not."""
    cross_site = {"sec-fetch-site": "cross-site"}
    with TestClient(app) as client:
        by_cookie = client.post("/me", headers=propylon_users.sign_in().headers() | cross_site)
        by_token = client.post("/me", headers=propylon_users.sign_in(mode="bearer").headers() | cross_site)
    assert (by_cookie.json()["code"], by_token.status_code) == ("cross_site_refused", 200)


def test_a_refresh_token_renews_once_and_its_copy_ends_the_session(app: FastAPI, propylon_users: Rehearsal) -> None:
    """Rotation is the real one, over the app's own routes."""
    minji = propylon_users.sign_in(mode="bearer")
    first = minji.refresh_token
    with TestClient(app, base_url=LOCAL) as client:
        for _ in range(2):
            renewed = client.post("/auth/v1/session/tokens", json={"refresh_token": minji.refresh_token})
            assert renewed.status_code == 200
        stolen = client.post("/auth/v1/session/tokens", json={"refresh_token": first})
        assert stolen.json()["code"] == "token_reused"
    propylon_users.events.assert_recorded("token_rotated", session=minji.session, times=2)
    propylon_users.events.assert_recorded("token_reused", user=minji.user, times=1)


def test_a_hybrid_session_renews_by_its_cookie(app: FastAPI, propylon_users: Rehearsal) -> None:
    """What the browser keeps is the refresh cookie alone."""
    minji = propylon_users.sign_in(mode="hybrid")
    assert list(minji.cookies) == ["propylon-refresh"]
    with TestClient(app, base_url=LOCAL, cookies=minji.cookies) as client:
        renewed = client.post("/auth/v1/session/tokens", headers={"sec-fetch-site": "same-origin"})
    assert "access_token" in renewed.json()


def test_the_sign_in_of_the_app_asks_for_the_password(app: FastAPI, propylon_users: Rehearsal) -> None:
    """Only the test itself signs in without: in the app a wrong password is wrong, the known one is right."""
    user = propylon_users.add_user("minji@example.org")
    with TestClient(app, base_url=LOCAL) as client:
        wrong = client.post("/auth/v1/sessions", json={"email": user.email, "password": "not it, not at all"})
        right = client.post("/auth/v1/sessions", json={"email": user.email, "password": PASSWORD})
    assert (wrong.json()["code"], right.status_code) == ("credentials_wrong", 201)
    propylon_users.events.assert_recorded("authn_login_fail", user=user, reason="credentials_wrong", times=1)


@pytest.mark.parametrize("host", ["testserver", "testserver.local", "test", "localhost:8000"])
def test_the_pages_know_the_hosts_that_test_clients_name(app: FastAPI, propylon_users: Rehearsal, host: str) -> None:
    """Without a ``base_url``: somebody signs in as the page does, and the cookie comes back."""
    user = propylon_users.add_user("minji@example.org", roles=["admin"])
    with TestClient(app, base_url=f"http://{host}") as client:
        assert client.get("/auth/login").status_code == 200
        entered = client.post("/auth/login", data={"email": user.email, "password": PASSWORD}, follow_redirects=False)
        assert (entered.status_code, entered.headers["location"]) == (303, "/auth/account")
        assert client.get("/me").json() == ["admin"]
        assert client.get("/auth/account").status_code == 200


@pytest.mark.usefixtures("propylon_users")
@pytest.mark.parametrize("host", ["shop.example", "testserver.shop.example", "testserver:8000"])
def test_the_pages_know_no_other_host(app: FastAPI, host: str) -> None:
    """A page that was rebound to this machine is refused in tests as in service."""
    with TestClient(app, base_url=f"http://{host}") as client:
        assert client.get("/auth/login").json()["code"] == "host_unknown"


def test_outside_of_a_rehearsal_no_test_client_is_known(app: FastAPI, propylon: Propylon) -> None:
    """Also after one: what serves then is as it was."""
    with Rehearsal(propylon), TestClient(app) as client:
        assert client.get("/auth/login").status_code == 200
    with TestClient(app) as client:
        assert client.get("/auth/login").json()["code"] == "host_unknown"


def test_what_the_app_alone_has_to_tell_is_recorded(app: FastAPI, propylon_events: SecurityEvents) -> None:
    """From the first event on, when nobody was signed in by the test before."""
    with TestClient(app, base_url=LOCAL) as client:
        client.post("/auth/v1/sessions", json={"email": "nobody@example.org", "password": "not it, not at all"})
    assert propylon_events.assert_recorded("authn_login_fail", times=1).facts["user"] is None


def test_the_session_limit_of_the_app_evicts(tmp_path: Path) -> None:
    """The third sign-in ends the first, and the log says for whom."""
    propylon = Propylon(session_limit=2)
    with Rehearsal(propylon) as users:
        first, second, third = (users.sign_in("minji@example.org") for _ in range(3))
        assert second.principal.user_id == third.principal.user_id
        with pytest.raises(CredentialRefused, match="session_evicted"):
            _ = first.principal
        users.events.assert_recorded("session_evicted", session=first.session, by=third.session)


def test_a_limit_that_refuses_refuses_the_test_too() -> None:
    """Nobody gets in past a rule because they are a test."""
    with Rehearsal(Propylon(session_limit=1, session_limit_policy="refuse_newest")) as users:
        users.sign_in("minji@example.org")
        with pytest.raises(Conflict, match="session_limit_reached"):
            users.sign_in("minji@example.org")


def test_nobody_signs_in_to_a_disabled_account(propylon_users: Rehearsal) -> None:
    """Not even by a test."""
    propylon_users.sign_in("minji@example.org").disable()
    with pytest.raises(CredentialRefused, match="user_disabled"):
        propylon_users.sign_in("minji@example.org")


@pytest.mark.parametrize(
    ("how", "error"),
    [
        ({"roles": ["editor"]}, ValueError),
        ({"roles": []}, ValueError),
    ],
)
def test_an_account_holds_the_roles_that_it_was_made_with(
    propylon_users: Rehearsal, how: dict[str, Any], error: type[Exception]
) -> None:
    """A test that asks for others would go on with roles that it does not mean."""
    propylon_users.sign_in("minji@example.org", roles=["admin"])
    with pytest.raises(error, match="holds other roles: admin"):
        propylon_users.sign_in("minji@example.org", **how)
    assert propylon_users.sign_in("minji@example.org", roles=["admin"]).user.roles == ("admin",)


@pytest.mark.parametrize("account", [{"email": "no address"}, {"roles": ["no role"]}, {"password": "short"}])
def test_an_account_that_could_not_be_is_not_made(propylon_users: Rehearsal, account: dict[str, Any]) -> None:
    """A test with a user who could not exist proves nothing."""
    with pytest.raises(RuleRefused):
        propylon_users.add_user(**account)


def test_a_session_in_cookie_mode_has_no_refresh_token(propylon_users: Rehearsal) -> None:
    """The test is told so, instead of being given what the app would never issue."""
    with pytest.raises(LookupError):
        _ = propylon_users.sign_in(mode="cookie").refresh_token


def test_what_is_over_cannot_be_confirmed(propylon_users: Rehearsal) -> None:
    """A step-up does not bring the dead back."""
    minji = propylon_users.sign_in()
    minji.end()
    with pytest.raises(LookupError):
        minji.confirm()
    propylon_users.events.assert_not_recorded("authn_confirmed")


def test_ended_stays_ended_when_the_app_is_started_again(app: FastAPI, propylon_users: Rehearsal) -> None:
    """A second client in one test is a restart of the service: it hears the feed from its beginning."""
    minji = propylon_users.sign_in(mode="bearer")
    sent = minji.headers()
    with TestClient(app) as client:
        minji.end()
        assert client.get("/me", headers=sent).json()["code"] == "session_revoked"
    with TestClient(app) as client:
        assert client.get("/me", headers=sent).json()["code"] == "session_revoked"
        assert code(client, propylon_users.sign_in()) == ""


def test_no_password_is_hashed_twice(monkeypatch: pytest.MonkeyPatch, propylon_users: Rehearsal) -> None:
    """Fifty people are signed in at the cost of one hash."""
    hashed: list[bytes] = []
    hash_once = Hasher.hash

    def counted(hasher: Hasher, given: bytes) -> str:
        hashed.append(given)
        return hash_once(hasher, given)

    monkeypatch.setattr(Hasher, "hash", counted)
    rehearsal._hash_of_known.cache_clear()
    for _ in range(50):
        propylon_users.sign_in()
    assert len(hashed) == 1


def test_nothing_lies_on_the_disk_and_everything_is_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, propylon: Propylon, app: FastAPI
) -> None:
    """Neither a database nor a key is made where the app would have made them."""
    monkeypatch.chdir(tmp_path)
    before = propylon.config
    with Rehearsal(propylon) as users, TestClient(app) as client:
        assert code(client, users.sign_in()) == ""
        assert propylon.config.store == "memory://"
    assert propylon.config is before
    assert propylon.loop is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mode", ["cookie", "bearer"])
def test_what_a_rehearsal_issued_is_worth_nothing_outside(app: FastAPI, propylon: Propylon, mode: Any) -> None:
    """Neither in the next rehearsal nor in the service itself: the key that made it is gone."""
    with Rehearsal(propylon) as users:
        sent = users.sign_in(roles=["admin"], mode=mode).headers()
    with Rehearsal(propylon), TestClient(app) as client:
        assert client.get("/me", headers=sent).json()["code"] == "credential_malformed"
    with TestClient(app) as service:
        assert service.get("/me", headers=sent).json()["code"] == "credential_malformed"


def test_a_rehearsal_that_is_over_signs_nobody_in(propylon: Propylon) -> None:
    """What is left of it is no way in."""
    with Rehearsal(propylon) as users:
        pass
    with pytest.raises(PropylonError, match="not_open"):
        users.sign_in()


def test_each_test_begins_with_nobody(propylon: Propylon) -> None:
    """What one test made, the next does not find."""
    with Rehearsal(propylon) as users:
        users.sign_in("minji@example.org", roles=["admin"])
    with Rehearsal(propylon) as users:
        assert users.sign_in("minji@example.org").user.roles == ()


def test_an_app_that_was_left_open_is_taken_over(app: FastAPI, propylon: Propylon) -> None:
    """A client without a ``with`` never closes what it opened, and its loop is gone."""
    left_open = TestClient(app)
    assert left_open.get("/me").status_code == 401
    assert propylon.loop is not None
    with Rehearsal(propylon) as users:
        minji = users.sign_in()
        assert code(left_open, minji) == ""
        minji.end()
        assert code(left_open, minji) == "session_revoked"
    assert propylon.loop is None


def test_an_app_that_is_closed_late_is_closed_all_the_same(app: FastAPI, propylon: Propylon) -> None:
    """The client of a wider fixture still runs when the rehearsal ends; its next request opens the service anew."""
    with TestClient(app) as client:
        client.portal.call(propylon.close)  # type: ignore[union-attr]  # it runs
        with Rehearsal(propylon) as users:
            sent = users.sign_in().headers()
            assert client.get("/me", headers=sent).status_code == 200
        assert client.get("/me", headers=sent).json()["code"] == "credential_malformed"


async def test_in_a_coroutine_everything_is_the_same(app: FastAPI, propylon: Propylon, connect: Connect) -> None:
    """``sign_in`` waits for nothing, so it is called without ``await``."""
    client = connect(app)
    async with Rehearsal(propylon, clock=FakeClock(1_900_000_000)) as users:
        minji = users.sign_in()
        assert (await client.get("/me", headers=minji.headers())).status_code == 200
        assert minji.session.created_at == 1_900_000_000
        minji.evict()
        answer = await client.get("/me", headers=minji.headers())
        assert answer.json()["code"] == "session_evicted"
    assert propylon.loop is None


async def test_the_fixture_serves_coroutines_too(
    app: FastAPI, propylon_users: Rehearsal, propylon_events: SecurityEvents, connect: Connect
) -> None:
    """It ends after the loop of the test stands still."""
    answer = await connect(app).get("/me", headers=propylon_users.sign_in(roles=["admin"]).headers())
    assert answer.json() == ["admin"]
    propylon_events.assert_recorded("authn_login_success", times=1)


async def test_a_coroutine_that_does_not_wait_for_the_end_is_told(propylon: Propylon) -> None:
    """Nobody could close Propylon on a loop that stands still for it; the app is given back nevertheless."""
    before = propylon.config
    with pytest.raises(RuntimeError, match="async with"), Rehearsal(propylon):
        await propylon.open()
    assert propylon.config is before
    await propylon.close()


class Bridged:
    """What holds a Propylon for threads, as the sync adapters do."""

    def __init__(self, source: Propylon) -> None:
        self.source = source
        self.closed = 0

    def close(self) -> None:
        """Count."""
        self.closed += 1


def test_what_holds_a_propylon_for_threads_is_let_go_before_and_after(propylon: Propylon) -> None:
    """A bridge remembers what it has opened; what is of another test must not answer in this one."""
    bridge = Bridged(propylon)
    with Rehearsal(bridge) as users:
        assert bridge.closed == 1
        assert users.sign_in().principal.roles == frozenset()
    assert bridge.closed == 2
