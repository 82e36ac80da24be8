"""The pages: safe whatever stands in them, usable by everybody, bound to their mount and their policy."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise

import pytest
from jinja2 import UndefinedError
from tests.web.parsing import Page
from tests.web.samples import HOSTILE, NOW, account, console, every_page, frame, session

from propylon.language import LANGUAGES, say
from propylon.web import ASSETS, AccountPage, Frame, Pages, ProblemPage, SignInPage, SignUpPage, StartPage

NAMES = tuple(every_page("en", "word"))
PAGES = {(language, name): html for language in LANGUAGES for name, html in every_page(language, HOSTILE).items()}
each_page = pytest.mark.parametrize("html", [pytest.param(html, id="-".join(key)) for key, html in PAGES.items()])
NOTICES = (
    "account_created",
    "profile_saved",
    "password_changed",
    "session_ended",
    "others_ended",
    "signed_out",
    "confirmed",
    "mode_changed",
    "mode_paused",
    "mode_resumed",
    "mode_same",
)
pages = Pages(site_name="Agora Market")


def shown(page: AccountPage, language: str = "en") -> Page:
    """Return the account page, parsed."""
    return Page(pages.account(frame(language, "/account", signed_in_as="jiwoo@example.com"), page))


@each_page
def test_a_hostile_value_stays_text(html: str) -> None:
    """Markup, quotes and template syntax in a value never become part of the document."""
    page = Page(html)
    assert len(page.all("script")) == 1
    assert all(not element.words for element in page.all("script"))
    assert not page.having("onload")
    assert "alert(1)" in page.all("html")[0].text
    assert "<script>alert" not in html
    assert "{{ 7*7 }}" in html


@each_page
def test_nothing_inline_that_the_content_security_policy_refuses(html: str) -> None:
    """No style attribute or element, event handler or script address; what is linked carries the nonce."""
    page = Page(html)
    for element in page.elements:
        assert not [name for name in element.attributes if name == "style" or name.startswith("on")]
        assert not element.attributes.get("href", "").lower().startswith(("javascript:", "data:"))
    assert not page.all("style", "base", "iframe", "object")
    (script,) = page.all("script")
    (sheet,) = [link for link in page.all("link") if link.attributes["rel"] == "stylesheet"]
    assert script.attributes["nonce"] == sheet.attributes["nonce"] == "n0nce"
    assert script.attributes["type"] == "module"


@each_page
def test_every_address_starts_with_the_root(html: str) -> None:
    """A page mounted under a prefix links and posts to nowhere else."""
    page = Page(html)
    assert all(form.attributes["action"].startswith("/auth/") for form in page.all("form"))
    for element in page.all("a", "link", "script"):
        address = element.attributes.get("href", element.attributes.get("src", ""))
        assert address.startswith(("/auth/", "#"))


@each_page
def test_every_form_posts(html: str) -> None:
    """Nothing that a form carries may end up in an address, and from there in a log."""
    assert {form.attributes["method"] for form in Page(html).all("form")} == {"post"}


@each_page
def test_ids_are_unique_and_references_resolve(html: str) -> None:
    """Labels, descriptions, headings and links within the page name elements that are there, once."""
    page = Page(html)
    ids = [element.attributes["id"] for element in page.having("id")]
    assert len(ids) == len(set(ids))
    for attribute in (
        "for",
        "aria-describedby",
        "aria-labelledby",
        "aria-controls",
        "data-reveal",
        "data-copy",
    ):
        for element in page.having(attribute):
            assert set(element.attributes[attribute].split(" ")) <= set(ids), (attribute, element.attributes)
    local = [link.attributes["href"][1:] for link in page.all("a") if link.attributes["href"].startswith("#")]
    assert set(local) <= set(ids)


@each_page
def test_every_input_has_a_label(html: str) -> None:
    """Whoever cannot see the page is told what each field is for."""
    page = Page(html)
    labelled = {label.attributes["for"] for label in page.all("label")}
    for control in page.all("input"):
        if control.attributes.get("type") != "hidden" and "aria-hidden" not in control.attributes:
            assert control.attributes["id"] in labelled


@each_page
def test_landmarks_and_one_first_heading(html: str) -> None:
    """Header, main, footer and one h1; the headings below skip no level."""
    page = Page(html)
    assert len(page.all("main")) == len(page.all("footer")) == len(page.all("h1")) == 1
    assert page.all("a")[0].attributes["href"] == "#main"
    levels = [int(element.tag[1]) for element in page.all("h1", "h2", "h3", "h4")]
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert page.having("role", "status")


@each_page
def test_every_button_and_link_has_a_name(html: str) -> None:
    """No control is announced as "button" alone (hidden ones get their name from the script)."""
    for control in Page(html).all("a", "button"):
        assert control.text or control.attributes.get("aria-label") or "data-reveal" in control.attributes


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", NAMES)
def test_a_page_says_its_language(language: str, name: str) -> None:
    """The lang attribute is right, and the switch marks the language in use."""
    page = Page(PAGES[language, name])
    assert page.all("html")[0].attributes["lang"] == language
    (current,) = page.having("aria-current", "true")
    assert (current.attributes["name"], current.attributes["value"]) == ("language", language)


def test_the_language_switch_returns_to_this_page() -> None:
    """It posts the language and the whole path of this page, in a form of its own."""
    page = Page(pages.sign_up(frame(path="/signup"), SignUpPage()))
    buttons = page.having("name", "language")
    forms = {id(button.inside("form")) for button in buttons}
    assert [button.attributes["value"] for button in buttons] == list(LANGUAGES)
    assert len(forms) == 1
    assert [field.attributes["value"] for field in page.having("name", "next")] == ["/auth/signup"]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("notice", NOTICES)
def test_a_notice_is_told_as_a_status(language: str, notice: str) -> None:
    """The sentence stands in the live region, in the reader's language."""
    page = Page(pages.start(frame(language, notice=notice), StartPage()))
    assert page.having("role", "status")[0].text == say(language, f"page.notice.{notice}")


def test_an_unknown_notice_is_an_error() -> None:
    """A key that no catalogue has must be found by a test, not by a reader."""
    with pytest.raises(KeyError, match=r"page\.notice\.nonsense"):
        pages.start(frame(notice="nonsense"), StartPage())


def test_a_missing_value_is_an_error() -> None:
    """A template never shows an empty place where a value was forgotten."""
    with pytest.raises(UndefinedError):
        pages.reference(frame(), {"openapi": "3.1.0"}, ())


@pytest.mark.parametrize(
    ("html", "action", "fields"),
    [
        (pages.sign_in(frame(), SignInPage()), "/login", ["next", "email", "password", "remember"]),
        (
            pages.sign_in(frame(), SignInPage(chooser=(session(1), session(2)), now=NOW)),
            "/login",
            ["next", "end", "end", "email", "password", "remember"],
        ),
        (pages.sign_up(frame(), SignUpPage()), "/signup", ["name", "email", "password"]),
        (pages.account(frame(), account(session(1))), "/account/profile", ["name"]),
        (
            pages.account(frame(), account(session(1))),
            "/account/password",
            ["current_password", "new_password"],
        ),
        (pages.account(frame(), account(session(1))), "/account/sessions/end", ["session"]),
        (pages.account(frame(), account(session(1))), "/account/sessions/end-others", []),
        (pages.start(frame(signed_in_as="a@b.c"), StartPage()), "/logout", []),
        (pages.console(frame(), console()), "/console/mode", ["mode"] * 3 + ["for"] * 3),
        (pages.console(frame(), console(moving=True)), "/console/mode", ["mode", "for"]),
        (pages.console(frame(), console(moving=True)), "/console/pause", ["paused"]),
    ],
)
def test_a_form_sends_exactly_its_fields(html: str, action: str, fields: list[str]) -> None:
    """The names are the contract with the routes."""
    page = Page(html)
    form = page.having("action", f"/auth{action}")[0]
    sent = [one for one in page.all("input", "button") if one.inside("form") is form and "name" in one.attributes]
    assert [one.attributes["name"] for one in sent] == fields


@pytest.mark.parametrize(
    ("html", "field", "autocomplete"),
    [
        (pages.sign_in(frame(), SignInPage()), "sign-in-email", "username"),
        (pages.sign_in(frame(), SignInPage()), "sign-in-password", "current-password"),
        (pages.sign_up(frame(), SignUpPage()), "sign-up-name", "name"),
        (pages.sign_up(frame(), SignUpPage()), "sign-up-email", "username"),
        (pages.sign_up(frame(), SignUpPage()), "sign-up-password", "new-password"),
        (pages.account(frame(), account()), "password-current_password", "current-password"),
        (pages.account(frame(), account()), "password-new_password", "new-password"),
    ],
)
def test_password_managers_know_each_field(html: str, field: str, autocomplete: str) -> None:
    """The autocomplete token says what to fill in (WCAG 1.3.5)."""
    assert Page(html).by_id(field).attributes["autocomplete"] == autocomplete


def test_a_password_is_never_written_into_the_page() -> None:
    """No password field has a value, whatever was wrong."""
    for html in PAGES.values():
        for field in Page(html).having("type", "password"):
            assert "value" not in field.attributes


def test_an_error_is_bound_to_its_field_and_to_the_summary() -> None:
    """The field is invalid, described by the error, and reached from the summary, which takes the focus."""
    errors = {"email": ["This is not a valid e-mail address."]}
    page = Page(pages.sign_in(frame(), SignInPage(email="x", problem="Look again.", errors=errors)))
    field = page.by_id("sign-in-email")
    assert field.attributes["aria-invalid"] == "true"
    assert page.by_id(field.attributes["aria-describedby"]).text == errors["email"][0]
    summary = page.by_id("sign-in-errors")
    assert summary.text == "Look again. E-mail: This is not a valid e-mail address."
    assert {"autofocus", "data-focus"} <= summary.attributes.keys()
    assert (summary.attributes["role"], summary.attributes["tabindex"]) == ("alert", "-1")
    assert page.all("title")[0].text.startswith("Error: ")
    assert len(page.having("autofocus")) == 1


def test_a_page_without_errors_has_no_summary() -> None:
    """Nothing is marked as wrong before anything was sent."""
    page = Page(pages.sign_in(frame(), SignInPage()))
    assert not page.having("aria-invalid")
    assert not page.having("role", "alert")
    assert page.all("title")[0].text == "Sign in · Agora Market"


def test_what_was_typed_is_refilled() -> None:
    """Nobody types an e-mail twice because a password was wrong."""
    page = Page(pages.sign_in(frame(), SignInPage(email="a@b.c", next="/orders", remember=True, problem="No.")))
    assert page.by_id("sign-in-email").attributes["value"] == "a@b.c"
    assert page.having("name", "next")[0].attributes["value"] == "/orders"
    assert "checked" in page.by_id("sign-in-remember").attributes
    assert shown(account(name="")).by_id("profile-name").attributes["value"] == ""
    assert shown(account(name=None)).by_id("profile-name").attributes["value"] == "Ji-woo"


def test_a_closed_sign_up_shows_no_form_and_no_way_to_it() -> None:
    """Where nobody can sign up, no page pretends otherwise."""
    assert not Page(pages.sign_up(frame(), SignUpPage(open=False))).having("action", "/auth/signup")
    for html in (
        pages.start(frame(), StartPage(sign_up_open=False)),
        pages.sign_in(frame(), SignInPage(sign_up_open=False)),
    ):
        assert not Page(html).having("href", "/auth/signup")


def test_this_device_comes_first_and_cannot_be_ended_by_mistake() -> None:
    """It is marked and has "Sign out"; every other has "End", the last active one first."""
    page = shown(account(session(9), session(2), session(5, current=True)))
    items = [item for item in page.all("li") if "device" in item.attributes.get("class", "").split()]
    assert "This device" in items[0].text
    assert "Active now" in items[0].text
    assert [item.text.count("This device") for item in items] == [1, 0, 0]
    assert [field.attributes["value"] for field in page.having("name", "session")] == ["s2", "s9"]


@pytest.mark.parametrize(("others", "text"), [(0, None), (1, "End 1 other"), (29, "End all 29 others")])
def test_all_others_are_ended_by_one_button_with_their_number(others: int, text: str | None) -> None:
    """The button says how many; alone, there is none."""
    page = shown(account(session(0, current=True), *(session(number) for number in range(1, others + 1))))
    forms = page.having("action", "/auth/account/sessions/end-others")
    assert [form.text for form in forms] == ([text] if text else [])
    assert len(page.having("action", "/auth/account/sessions/end")) == others


def test_two_end_buttons_sound_different() -> None:
    """A list of buttons called "End" would tell a screen reader nothing."""
    page = shown(account(session(3, browser="Edge"), session(4, browser="Safari")))
    labels = [button.attributes["aria-label"] for button in page.all("button") if button.text == "End"]
    assert labels == [
        "End Edge on macOS, last seen 3 minutes ago",
        "End Safari on macOS, last seen 4 minutes ago",
    ]


@pytest.mark.parametrize(
    ("browser", "os", "name"),
    [
        ("Edge", "Windows", "Edge on Windows"),
        ("", "Windows", "Windows"),
        ("Edge", "", "Edge"),
        ("", "", "Unknown device"),
    ],
)
def test_a_device_is_named_by_what_is_known(browser: str, os: str, name: str) -> None:
    """Half a user agent is better than an empty line."""
    assert f"End {name}, last seen 1 minute ago" in [
        button.attributes.get("aria-label")
        for button in shown(account(session(1, browser=browser, os=os))).all("button")
    ]


@pytest.mark.parametrize(("language", "text"), [("en", "3 minutes ago"), ("ko", "3분 전")])
def test_a_time_reads_well_and_is_exact_underneath(language: str, text: str) -> None:
    """People read how long ago; the element carries the second in UTC."""
    (time,) = shown(account(session(3)), language).having("data-ago")
    assert time.text == text
    assert time.attributes["datetime"] == "2026-11-24T04:33:40Z"
    assert "04:33 UTC" in time.attributes["title"]


@pytest.mark.parametrize(
    ("apps", "buttons"),
    [
        ("cookie", ["Turn round, back to: Cookie"]),
        ("hybrid", ["Browsers back to: Cookie", "Apps back to: Hybrid"]),
    ],
)
def test_each_way_back_is_one_button(apps: str, buttons: list[str]) -> None:
    """Both kinds of client turn round at once where they go the same way."""
    page = Page(pages.console(frame(), console(moving=True, apps=apps)))
    assert [button.text for button in page.all("button") if "back to" in button.text] == buttons
    assert not [one for one in Page(pages.console(frame(), console())).all("button") if "back to" in one.text]


def test_a_change_of_mode_is_watched_only_while_there_is_one() -> None:
    """A page that stands open must not keep the store counting for ever."""
    moving, resting = (Page(pages.console(frame(), console(moving=moving))).by_id("live") for moving in (True, False))
    assert moving.attributes["data-live"] == "1.0.1"
    assert "data-live" not in resting.attributes


def test_the_chooser_has_one_choice_made() -> None:
    """A radio for each session, the first one ticked, its id as the value."""
    page = Page(pages.sign_in(frame(), SignInPage(chooser=(session(1), session(2)), now=NOW)))
    radios = page.having("type", "radio")
    assert [radio.attributes["value"] for radio in radios] == ["s1", "s2"]
    assert ["checked" in radio.attributes for radio in radios] == [True, False]


REFUSAL = ProblemPage(404, "not_found", "There is nothing here", "Check the address.")


@pytest.mark.parametrize(
    ("signed_in_as", "refusal", "way"),
    [
        (None, replace(REFUSAL, sign_in=True), "/auth/login"),
        (None, REFUSAL, "/auth/"),
        ("a@b.c", REFUSAL, "/auth/account"),
    ],
)
def test_a_refusal_names_its_code_and_a_way_on(signed_in_as: str | None, refusal: ProblemPage, way: str) -> None:
    """The page leads somewhere useful, and its code to its line in the reference."""
    page = Page(pages.problem(frame(signed_in_as=signed_in_as), refusal))
    ways = [link.attributes["href"] for link in page.all("a") if "button" in link.attributes.get("class", "")]
    assert ways[0] == way
    assert page.having("href", "/auth/docs#not_found")[0].text == "not_found"


def test_the_navigation_follows_the_signed_in_state() -> None:
    """Signed out: sign in. Signed in: the account, and a way out that posts."""
    out = Page(pages.start(frame(), StartPage()))
    inside = Page(pages.start(frame(signed_in_as="a@b.c"), StartPage()))
    assert out.having("href", "/auth/login")
    assert not out.having("action", "/auth/logout")
    assert inside.having("href", "/auth/account")
    assert inside.having("action", "/auth/logout")
    assert not inside.having("href", "/auth/login")


def test_assets_are_linked_by_their_digest() -> None:
    """A new release is a new address, so an old file in a cache does no harm."""
    html = pages.start(Frame("en", "n", "", "/", None), StartPage())
    linked = set(re.findall(r'"/static/([a-z.]+)\?v=([0-9a-f]{16})"', html))
    assert linked == {(name, asset.digest) for name, asset in ASSETS.items()}


def test_the_page_colours_follow_the_system() -> None:
    """Both schemes are announced before the style sheet arrives, so that nothing flashes."""
    page = Page(pages.start(frame(), StartPage()))
    assert page.having("name", "color-scheme")[0].attributes["content"] == "light dark"
    assert len({meta.attributes["media"] for meta in page.having("name", "theme-color")}) == 2
