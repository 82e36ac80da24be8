"""OpenAPI 3.1, made from the table of operations and the types of their bodies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from propylon import __version__
from propylon.http.operations import ANYWHERE, Operation
from propylon.http.problems import STATUS, Problem

_REASONS = {200: "OK", 201: "Created", 202: "Accepted", 204: "Done, nothing to say"}
_SECURITY: dict[str, list[dict[str, list[str]]]] = {
    "cookie": [{"sessionCookie": []}],
    "any": [{"sessionCookie": []}, {"accessToken": []}],
    "bearer": [{"accessToken": []}],
    "renewal": [{}, {"refreshCookie": []}, {"sessionCookie": []}],
    "verifier": [{"verifierSecret": []}],
}


def document(operations: Sequence[Operation], *, title: str, server: str, session_cookie: str) -> dict[str, Any]:
    """Return the OpenAPI document of ``operations``."""
    types = [kind for operation in operations for kind in operation.types()] + [Problem]
    unique = list(dict.fromkeys(types))
    schemas, components = msgspec.json.schema_components(unique, ref_template="#/components/schemas/{name}")
    schema_of = dict(zip(unique, schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, schema_of)
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": __version__},
        "servers": [{"url": server}],
        "paths": paths,
        "components": {"schemas": components, "securitySchemes": _security_schemes(session_cookie)},
    }


def _operation(operation: Operation, schema_of: dict[Any, Any]) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "description": operation.description,
        "tags": [operation.tag],
        "responses": _responses(operation, schema_of),
    }
    if operation.parameters:
        described["parameters"] = list(operation.parameters)
    if operation.body is not None:
        content = {"application/json": {"schema": schema_of[operation.body]}}
        described["requestBody"] = {"required": operation.body_required, "content": content}
    if operation.security in _SECURITY:
        described["security"] = _SECURITY[operation.security]
    return described


def _responses(operation: Operation, schema_of: dict[Any, Any]) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    for status, kind in operation.answers.items():
        responses[str(status)] = {"description": _REASONS[status]}
        if kind is not None:
            responses[str(status)]["content"] = {operation.media_type: {"schema": schema_of[kind]}}
        if operation.headers:
            responses[str(status)]["headers"] = {
                name: {"description": said, "schema": {"type": "string"}} for name, said in operation.headers
            }
    by_status: dict[int, list[str]] = {}
    for code in (*operation.problems, *ANYWHERE):
        by_status.setdefault(STATUS[code], []).append(code)
    for status, codes in sorted(by_status.items()):
        content = {"application/problem+json": {"schema": schema_of[Problem]}}
        responses[str(status)] = {"description": ", ".join(codes), "content": content}
    return responses


def _security_schemes(session_cookie: str) -> dict[str, Any]:
    refresh_cookie = "__Secure-propylon-refresh" if session_cookie.startswith("__") else "propylon-refresh"
    return {
        "sessionCookie": {"type": "apiKey", "in": "cookie", "name": session_cookie},
        "refreshCookie": {"type": "apiKey", "in": "cookie", "name": refresh_cookie},
        "accessToken": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
        "verifierSecret": {"type": "http", "scheme": "bearer", "description": "From `propylon verifiers add`."},
    }
