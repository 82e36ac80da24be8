"""The contract as a table: every operation of the JSON API. Routes and OpenAPI are both made from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from propylon.http.schemas import (
    ConfirmBody,
    ExchangeBody,
    Health,
    ModeBody,
    ModeOut,
    PasswordBody,
    RefreshBody,
    SessionsOut,
    SignedInOut,
    SignInBody,
    SignUpBody,
    TokensOut,
    UserCreated,
    WhoOut,
)

REFUSED = (
    "credential_missing",
    "credential_malformed",
    "session_expired",
    "session_revoked",
    "session_evicted",
    "token_expired",
    "user_disabled",
)
ALWAYS = ("host_unknown", "credential_ambiguous", "cross_site_refused", "store_unavailable")
# What the envelope around every operation may say before or instead of it.
ANYWHERE = ("headers_too_large", "internal")
BODY = ("json_malformed", "body_too_slow", "body_too_large", "content_type_wrong", "fields_refused")


@dataclass(frozen=True, slots=True)
class Operation:
    """One method on one path.

    Attributes:
        name: of the endpoint that serves it, ``room.method``; also the OpenAPI operation id.
        answers: status to the type of its JSON body, None for none.
        problems: the codes that it may refuse with.
        security: ``none``, ``any``, ``bearer``, ``renewal``, or ``verifier``.
        media_type: of a body that an answer carries.
        headers: of the answer that did what was asked, each with what it says.
    """

    method: str
    path: str
    name: str
    tag: str
    summary: str
    answers: Mapping[int, Any]
    problems: tuple[str, ...] = ()
    description: str = ""
    body: Any = None
    body_required: bool = True
    security: str = "none"
    parameters: tuple[Mapping[str, Any], ...] = ()
    media_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()

    def types(self) -> list[Any]:
        """Return the types of all bodies."""
        kinds = [self.body, *self.answers.values()]
        return [kind for kind in kinds if kind is not None]


def _header(name: str, description: str, *, required: bool) -> dict[str, Any]:
    schema = {"type": "string"}
    return {"name": name, "in": "header", "required": required, "schema": schema, "description": description}


_SESSION_ID = {
    "name": "id",
    "in": "path",
    "required": True,
    "schema": {"type": "string"},
    "description": "Public id of one of the caller's sessions.",
}
_KEEP = {
    "name": "keep",
    "in": "query",
    "required": False,
    "schema": {"type": "string", "enum": ["current"]},
    "description": "`current` spares the session that asks.",
}
_IF_MATCH = _header("If-Match", "The ETag that was read last.", required=True)
_FORWARDED_METHOD = _header(
    "X-Forwarded-Method",
    "Method of the original request; where it is missing, it counts as one that changes something.",
    required=False,
)
_LAST_EVENT_ID = _header("Last-Event-ID", "The id of the last event that was read.", required=False)
_ETAG = (("ETag", "The version, for the next If-Match."),)
_IDENTITY = (
    ("X-Propylon-User", "Id of the user."),
    ("X-Propylon-Session", "Public id of the session."),
    ("X-Propylon-Roles", "The user's roles, by comma."),
)
_SIGN_IN_PROBLEMS = (
    "credentials_wrong",
    "user_disabled",
    "session_limit_reached",
    "too_many_attempts",
    "overloaded",
)

OPERATIONS: tuple[Operation, ...] = (
    Operation("GET", "/v1/session", "sessions.who", "session", "Who is calling?",
              {200: WhoOut}, ALWAYS + REFUSED, security="any"),
    Operation("POST", "/v1/session/tokens", "renewal.renew", "session", "Renew access",
              {200: TokensOut}, (*ALWAYS, *REFUSED, *BODY, "token_reused", "too_many_attempts"),
              "One of: a refresh token in the body (its successor comes back in the body); the refresh cookie (its "
              "successor comes back as a cookie); a signed-in session cookie (an access token alone).",
              body=RefreshBody, body_required=False, security="renewal"),
    Operation("GET", "/v1/verify", "sessions.verify", "proxy", "Forward-auth for nginx, Traefik, Caddy",
              {204: None}, ALWAYS + REFUSED,
              "The proxy copies the three headers into the request that it passes on.",
              security="any", parameters=(_FORWARDED_METHOD,), headers=_IDENTITY),
    Operation("GET", "/v1/session/data", "data.read", "session data", "Read what the app keeps with this session",
              {200: dict[str, Any]}, ALWAYS + REFUSED, "The version comes in ETag.", security="any",
              headers=_ETAG),
    Operation("PUT", "/v1/session/data", "data.replace", "session data", "Replace it, if nobody else was first",
              {204: None}, (*ALWAYS, *REFUSED, *BODY, "if_match_missing", "data_changed"),
              "A JSON object of at most 16 KiB.", body=dict[str, Any], security="any", parameters=(_IF_MATCH,),
              headers=_ETAG),
    Operation("POST", "/v1/sessions", "sessions.sign_in", "session", "Sign in",
              {201: SignedInOut}, (*ALWAYS, *BODY, *_SIGN_IN_PROBLEMS, "cookie_cross_site"),
              "The mode decides how the session travels: `cookie` sets a session cookie, `bearer` returns both tokens, "
              "`hybrid` returns the access token and sets a refresh cookie. Without a mode, the server's is taken.",
              body=SignInBody),
    Operation("DELETE", "/v1/session", "sessions.sign_out", "session", "Sign out",
              {204: None}, ALWAYS + REFUSED, security="any"),
    Operation("POST", "/v1/session/cookie", "renewal.to_cookie", "session", "Hand this session to the browser",
              {204: None}, (*ALWAYS, *REFUSED, "forbidden", "cookie_cross_site"),
              "Sets the session cookie of the same session; ending it ends both.", security="bearer"),
    Operation("POST", "/v1/session/exchange", "sessions.exchange", "session", "Exchange another system's session",
              {201: SignedInOut},
              (*ALWAYS, *BODY, "not_found", "credential_missing", "credential_malformed", "session_revoked",
               "user_disabled", "cookie_cross_site", "session_limit_reached", "too_many_attempts"),
              "For people who come from Django or Starlette (the setting `bridge`; without it, 404): the cookie of "
              "that system opens one session here, once.",
              body=ExchangeBody, body_required=False),
    Operation("POST", "/v1/session/confirm", "accounts.confirm", "session", "Confirm the password again (step-up)",
              {204: None}, (*ALWAYS, *REFUSED, *BODY, "credentials_wrong", "too_many_attempts", "overloaded"),
              "The time of authentication is now and every secret of the session is new: renew tokens right away.",
              body=ConfirmBody, security="any"),
    Operation("GET", "/v1/session/events", "events.follow", "session", "Hear of the end of this session",
              {200: str}, (*ALWAYS, *REFUSED, "too_many_streams", "unavailable", "streams_not_served"),
              "Server-sent events. First `session` with the ids of session and user; at the end `ended` with the "
              "problem that the next request would be told, or `signed-out` where its holder signed out; a comment at "
              "least every 15 seconds. An access token may expire meanwhile.",
              security="any", media_type="text/event-stream"),
    Operation("GET", "/v1/sessions", "sessions.devices", "devices", "List the devices signed in",
              {200: SessionsOut}, ALWAYS + REFUSED, security="any"),
    Operation("DELETE", "/v1/sessions/{id}", "sessions.end_one", "devices", "End one of them",
              {204: None}, (*ALWAYS, *REFUSED, "not_found"), security="any", parameters=(_SESSION_ID,)),
    Operation("DELETE", "/v1/sessions", "sessions.end_many", "devices", "End all, or all others",
              {204: None}, (*ALWAYS, *REFUSED, "request_malformed"), security="any", parameters=(_KEEP,)),
    Operation("POST", "/v1/users", "accounts.sign_up", "account", "Make an account",
              {201: UserCreated},
              (*ALWAYS, *BODY, "sign_up_closed", "password_refused", "email_taken", "too_many_attempts", "overloaded"),
              "Signs nobody in.", body=SignUpBody),
    Operation("PUT", "/v1/user/password", "accounts.change_password", "account", "Change the password",
              {204: None},
              (*ALWAYS, *REFUSED, *BODY, "credentials_wrong", "password_refused", "too_many_attempts", "overloaded"),
              "Ends every other session of the user.", body=PasswordBody, security="any"),
    Operation("GET", "/v1/feed", "feed.follow", "keys", "Follow the revocation feed",
              {200: str},
              ("host_unknown", "credential_missing", "credential_malformed", "credential_ambiguous", "unavailable",
               "store_unavailable", "streams_not_served"),
              "Server-sent events for verifiers elsewhere: what ended, as it ends. Without a `Last-Event-ID` that is "
              "known here, all that is kept comes first, after the event `reset`.",
              security="verifier", parameters=(_LAST_EVENT_ID,), media_type="text/event-stream"),
    Operation("GET", "/.well-known/jwks.json", "documents.jwks", "keys", "The public keys of access tokens",
              {200: dict[str, Any]}, ("host_unknown", "store_unavailable"), "RFC 7517.",
              media_type="application/jwk-set+json"),
    Operation("GET", "/v1/mode", "mode.show", "administration", "How do sessions travel, and how far have they come?",
              {200: ModeOut}, (*ALWAYS, *REFUSED, "forbidden", "insufficient_scope"),
              "For users with a role that grants the permission `propylon:mode`; a token narrowed to scopes has to "
              "name it too. The decision is as it is now; `counted_at` says when the sessions were counted.",
              security="any"),
    Operation("PUT", "/v1/mode", "mode.change", "administration", "Change how sessions travel",
              {200: ModeOut},
              (*ALWAYS, *REFUSED, *BODY, "forbidden", "insufficient_scope", "reauthentication_required",
               "mode_changed_meanwhile"),
              "Likewise, and the password must have been confirmed within ten minutes. `mode` turns new sign-ins and "
              "asks sessions to move, `for` all clients or for `browsers` or `apps` alone; nobody is signed out. "
              "`paused` asks nobody to move for a while. Turning round is a change to the mode before.",
              body=ModeBody, security="any"),
    Operation("GET", "/healthz", "monitoring.alive", "operation", "Does this process answer?", {200: Health}),
    Operation("GET", "/readyz", "monitoring.ready", "operation", "Can it serve?",
              {200: Health}, ("store_unavailable",)),
    Operation("GET", "/metrics", "monitoring.metrics", "operation", "Prometheus metrics",
              {200: str}, ("not_found",),
              "For callers on this machine, or with the configured token.", media_type="text/plain"),
)  # fmt: skip
