"""An OpenAPI 3.1 document, laid out for reading: groups of operations with their ``$ref`` resolved.

The document is our own, so nothing here defends against a hostile one; depth is bounded all the same, since
a schema may contain itself.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

METHODS: Final = ("get", "post", "put", "patch", "delete", "head", "options", "trace")
MAX_DEPTH: Final = 5  # of nested fields; deeper ones, and schemas that contain themselves, are cut off
DEFAULT_SERVER: Final = "http://127.0.0.1:8000"

_Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Field:
    """One line of a table: a parameter, or a field of a body (``user.email``, ``sessions[].id``)."""

    name: str
    type: str
    required: bool
    description: str


@dataclass(frozen=True, slots=True)
class Body:
    """One form of a request or response body."""

    content_type: str
    type: str
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class Response:
    """One possible answer."""

    status: str
    description: str
    bodies: tuple[Body, ...]


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path; ``anchor`` is unique in the page, ``curl`` a command ready to paste."""

    anchor: str
    method: str
    path: str
    summary: str
    description: str
    deprecated: bool
    parameters: tuple[Field, ...]
    request: tuple[Body, ...]
    responses: tuple[Response, ...]
    curl: str


@dataclass(frozen=True, slots=True)
class Group:
    """The operations of one tag; the name is empty for those without."""

    anchor: str
    name: str
    description: str
    operations: tuple[Operation, ...]


def groups(openapi: _Json) -> tuple[Group, ...]:
    """Return the operations by their first tag: declared tags first, in the order of the document."""
    described = {tag["name"]: tag.get("description", "") for tag in openapi.get("tags", ())}
    by_tag: dict[str, list[Operation]] = {name: [] for name in described}
    for path, item in openapi.get("paths", {}).items():
        for method in METHODS:
            if method in item:
                tag = next(iter(item[method].get("tags", ())), "")
                by_tag.setdefault(tag, []).append(_operation(openapi, path, method, item))
    return tuple(
        Group(f"tag-{number}", name, described.get(name, ""), tuple(operations))
        for number, (name, operations) in enumerate(by_tag.items(), 1)
        if operations
    )


def _operation(openapi: _Json, path: str, method: str, item: _Json) -> Operation:
    operation = item[method]
    request = _resolve(openapi, operation.get("requestBody", {}))
    return Operation(
        anchor=f"{method}-{_slug(path)}",
        method=method.upper(),
        path=path,
        summary=operation.get("summary", ""),
        description=operation.get("description", ""),
        deprecated=bool(operation.get("deprecated", False)),
        parameters=_parameters(openapi, [*item.get("parameters", ()), *operation.get("parameters", ())]),
        request=_bodies(openapi, request),
        responses=tuple(
            _response(openapi, status, _resolve(openapi, response))
            for status, response in operation.get("responses", {}).items()
        ),
        curl=_curl(openapi, path, method, operation, request),
    )


def _slug(path: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.]+", "-", path).strip("-") or "root"


def _parameters(openapi: _Json, parameters: Sequence[_Json]) -> tuple[Field, ...]:
    resolved = [_resolve(openapi, parameter) for parameter in parameters]
    return tuple(
        Field(
            name=parameter["name"],
            type=f"{_type(openapi, parameter.get('schema', {}))} ({parameter['in']})",
            required=bool(parameter.get("required", False)),
            description=parameter.get("description", ""),
        )
        for parameter in resolved
    )


def _response(openapi: _Json, status: str, response: _Json) -> Response:
    return Response(status, response.get("description", ""), _bodies(openapi, response))


def _bodies(openapi: _Json, holder: _Json) -> tuple[Body, ...]:
    return tuple(
        Body(
            content_type,
            _type(openapi, media.get("schema", {})),
            tuple(_fields(openapi, media.get("schema", {}), "", MAX_DEPTH)),
        )
        for content_type, media in holder.get("content", {}).items()
    )


def _resolve(openapi: _Json, schema: _Json) -> _Json:
    """Follow ``$ref`` (local ones: ``#/components/...``); keywords beside it win, as OpenAPI 3.1 allows."""
    siblings: dict[str, Any] = {}
    for _ in range(MAX_DEPTH):
        if "$ref" not in schema:
            break
        siblings = {name: value for name, value in schema.items() if name != "$ref"} | siblings
        target: Any = openapi
        for part in str(schema["$ref"]).removeprefix("#/").split("/"):
            target = target[part.replace("~1", "/").replace("~0", "~")]
        schema = target
    return {**schema, **siblings}


def _alternatives(openapi: _Json, schema: _Json) -> list[_Json]:
    """Return what a schema may be: the branches of its ``anyOf`` or ``oneOf``, or itself."""
    resolved = _resolve(openapi, schema)
    branches = resolved.get("anyOf") or resolved.get("oneOf") or ()
    return [_resolve(openapi, branch) for branch in branches] or [resolved]


def _type(openapi: _Json, schema: _Json) -> str:
    names = [_plain_type(openapi, branch) for branch in _alternatives(openapi, schema)]
    return " or ".join(dict.fromkeys(names))


def _plain_type(openapi: _Json, schema: _Json) -> str:
    if "enum" in schema:
        return " | ".join(json.dumps(value, ensure_ascii=False) for value in schema["enum"])
    if "const" in schema:
        return json.dumps(schema["const"], ensure_ascii=False)
    kinds = schema.get("type", "object" if "properties" in schema else "any")
    name = " or ".join([kinds] if isinstance(kinds, str) else kinds)
    if name == "array":
        return f"array of {_type(openapi, schema.get('items', {}))}"
    return f"{name} ({schema['format']})" if "format" in schema else name


def _fields(openapi: _Json, schema: _Json, prefix: str, depth: int) -> Iterator[Field]:
    """Yield the fields of an object, and of the objects within it, by dotted name."""
    for branch in _alternatives(openapi, schema):
        if branch.get("type") == "array" and depth:
            yield from _fields(openapi, branch.get("items", {}), f"{prefix}[]", depth - 1)
        required = branch.get("required", ())
        for name, part in branch.get("properties", {}).items() if depth else ():
            full = f"{prefix}.{name}" if prefix else name
            description = _resolve(openapi, part).get("description", "")
            yield Field(full, _type(openapi, part), name in required, description)
            yield from _fields(openapi, part, full, depth - 1)


def _curl(openapi: _Json, path: str, method: str, operation: _Json, request: _Json) -> str:
    """Return a command for a POSIX shell; ``$TOKEN`` stands for an access token."""
    server = next((server["url"] for server in openapi.get("servers", ())), DEFAULT_SERVER).rstrip("/")
    parts = [f"curl {shlex.quote(server + path)}"]
    if method != "get":
        parts[0] = f"curl -X {method.upper()} {shlex.quote(server + path)}"
    if operation.get("security", openapi.get("security")):
        parts.append('-H "Authorization: Bearer $TOKEN"')
    for parameter in operation.get("parameters", ()):
        resolved = _resolve(openapi, parameter)
        if resolved["in"] == "header" and resolved.get("required"):
            header = f"{resolved['name']}: {_example(openapi, resolved.get('schema', {}), MAX_DEPTH)}"
            parts.append(f"-H {shlex.quote(header)}")
    for content_type, media in list(request.get("content", {}).items())[:1]:
        parts += [f"-H {shlex.quote(f'Content-Type: {content_type}')}", f"-d {_data(openapi, media)}"]
    return " \\\n  ".join(parts)


def _data(openapi: _Json, media: _Json) -> str:
    example = media.get("example", _example(openapi, media.get("schema", {}), MAX_DEPTH))
    return shlex.quote(example if isinstance(example, str) else json.dumps(example, ensure_ascii=False))


def _example(openapi: _Json, schema: _Json, depth: int) -> object:
    """Return a value that fits: the schema's own example where it has one, required fields alone."""
    first = _alternatives(openapi, schema)[0]
    for given in (_resolve(openapi, schema), first):
        values = [
            *given.get("examples", ()),
            *(given[name] for name in ("example", "const") if name in given),
        ]
        if values:
            return values[0]
    if "enum" in first:
        return first["enum"][0]
    if first.get("properties") and depth:
        required = first.get("required", ())
        return {
            name: _example(openapi, part, depth - 1) for name, part in first["properties"].items() if name in required
        }
    if first.get("type") == "array":
        return [_example(openapi, first.get("items", {}), depth - 1)] if depth else []
    samples = {"string": "string", "integer": 0, "number": 0, "boolean": False, "null": None}
    return samples.get(str(first.get("type")), {})
