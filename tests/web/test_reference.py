"""The reference: a whole OpenAPI document, laid out for reading."""

from __future__ import annotations

import shlex

import pytest
from tests.web.parsing import Page
from tests.web.samples import OPENAPI, PROBLEMS, frame

from propylon.language import LANGUAGES, template
from propylon.web import Pages, ProblemRow, reference
from propylon.web.reference import Operation


def operation(method: str, path: str) -> Operation:
    """Return one operation of the sample."""
    (found,) = [
        one
        for group in reference.groups(OPENAPI)
        for one in group.operations
        if (one.method, one.path) == (method, path)
    ]
    return found


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_operation_is_listed(language: str) -> None:
    """Each method of each path has its article and its line in the contents."""
    page = Page(Pages(site_name="Agora").reference(frame(language), OPENAPI, PROBLEMS))
    articles = {article.attributes["id"] for article in page.all("article")}
    linked = {link.attributes["href"][1:] for link in page.all("a") if link.inside("nav")}
    expected = {
        "get-v1-sessions": "GET /v1/sessions",
        "post-v1-sessions": "POST /v1/sessions",
        "delete-v1-sessions-id": "DELETE /v1/sessions/{id}",
        "get-healthz": "GET /healthz",
    }
    assert articles == expected.keys()
    assert articles <= linked
    for name, title in expected.items():
        assert page.by_id(f"{name}-title").text.startswith(title)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_problem_code_has_an_anchor(language: str) -> None:
    """The type of a problem document leads to a line that explains it."""
    page = Page(Pages(site_name="Agora").reference(frame(language), OPENAPI, PROBLEMS))
    for row in PROBLEMS:
        line = page.by_id(row.code)
        assert template(language, f"problem.{row.code}.title") in line.text
        assert template(language, f"problem.{row.code}.detail") in line.text


def test_a_problem_without_a_text_is_an_error() -> None:
    """A new code cannot be published without its sentence."""
    with pytest.raises(KeyError, match="made_up"):
        Pages(site_name="Agora").reference(frame(), OPENAPI, [ProblemRow("made_up", 400)])


def test_groups_keep_the_order_of_the_tags_and_drop_empty_ones() -> None:
    """Declared tags first; what has none comes last, without a name."""
    assert [group.name for group in reference.groups(OPENAPI)] == ["sessions", ""]


def test_fields_of_a_referenced_schema_are_named_by_their_way() -> None:
    """``$ref`` is followed, objects and arrays within are spelled out with dots and brackets."""
    (body,) = operation("POST", "/v1/sessions").responses[0].bodies
    fields = {field.name: field for field in body.fields}
    assert fields["user"].required
    assert fields["user"].description == "Who signed in"
    assert fields["sessions"].type == "array of object"
    assert {"user.id", "sessions[].id"} <= fields.keys()


def test_a_schema_that_contains_itself_is_cut_off() -> None:
    """A tree in the document does not hang the page."""
    (body,) = operation("POST", "/v1/sessions").responses[0].bodies
    assert max(field.name.count(".") for field in body.fields) <= reference.MAX_DEPTH


def test_a_reference_to_itself_ends() -> None:
    """A circle of references alone is not followed for ever."""
    circle = {"components": {"schemas": {"A": {"$ref": "#/components/schemas/A"}}}}
    content = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/A"}}}}
    paths = {"/a": {"post": {"requestBody": content}}}
    ((one,),) = [group.operations for group in reference.groups(circle | {"paths": paths})]
    assert one.request[0].fields == ()


def test_types_say_what_may_stand_there() -> None:
    """Formats, alternatives and values are readable."""
    (body,) = operation("POST", "/v1/sessions").request
    assert {field.name: field.type for field in body.fields} == {
        "email": "string (email)",
        "password": "string",
        "mode": '"cookie" | "bearer" or null',
    }


def test_parameters_of_the_path_belong_to_its_operations() -> None:
    """What is declared once for a path is shown at each of its methods."""
    (parameter,) = operation("DELETE", "/v1/sessions/{id}").parameters
    assert (parameter.name, parameter.type, parameter.required) == ("id", "string (path)", True)


def test_a_command_survives_the_shell() -> None:
    """Quotes in an example stay data; the body has the required fields."""
    words = shlex.split(operation("POST", "/v1/sessions").curl.replace("\\\n", " "))
    assert words[:4] == ["curl", "-X", "POST", "https://id.example/v1/sessions"]
    assert words[-2:] == ["-d", '{"email": "o\'brien@example.com", "password": "string"}']


def test_a_command_carries_a_token_only_where_one_is_asked_for() -> None:
    """Nobody learns to send credentials to an open route."""
    assert "$TOKEN" in operation("GET", "/v1/sessions").curl
    assert "$TOKEN" not in operation("POST", "/v1/sessions").curl
    assert operation("GET", "/healthz").curl == "curl https://id.example/healthz"
