"""``request.user`` in Django: what its own users answer, by what Propylon knows of a caller."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import Any
from weakref import ref

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject, empty

from propylon import Principal
from propylon.adapters.django_caches import keep_nowhere
from propylon.blocking import Blocking
from propylon.core.principal import User
from propylon.verifier import Verifier


class LookedAt(SimpleLazyObject):  # type: ignore[type-arg]  # Django's takes none
    """``request.user`` itself: found at the first look. Whatever is read of it later, too, is a question.

    Another middleware may have looked before, and an answer depends on the user no less for that.
    """

    def __init__(self, find: Callable[[], Any], request: ref[HttpRequest]) -> None:
        # What a lazy object sets, it sets of the user; and to find that out takes longer than all the rest of a request
        # that nobody looks at the user of. So these are set past it.
        put = object.__setattr__
        put(self, "_wrapped", empty)
        put(self, "_setupfunc", find)
        put(self, "_looked_at_by", request)  # held in return, the garbage collector alone would end it

    def __getattr__(self, name: str) -> Any:
        keep_nowhere(self._looked_at_by())
        return super().__getattr__(name)

    def __str__(self) -> str:
        """Be the same text as the user."""
        keep_nowhere(self._looked_at_by())
        return super().__str__()


class SignedIn:
    """``request.user`` of somebody: what Django's own users answer, out of the ``principal``.

    Name and address are looked up when they are asked for. A ``Verifier`` knows neither, and they are empty.

    Attributes:
        principal: who is calling.
    """

    is_authenticated = is_active = True
    is_anonymous = is_staff = is_superuser = False

    def __init__(self, principal: Principal, blocking: Blocking) -> None:
        self.principal, self._blocking = principal, blocking
        self.pk = self.id = self.username = principal.user_id

    def __str__(self) -> str:
        """Show the id."""
        return self.username

    def __eq__(self, other: object) -> bool:
        """Be the same as whoever has the same id."""
        return isinstance(other, SignedIn) and other.pk == self.pk

    def __hash__(self) -> int:
        return hash(self.pk)

    @property
    def email(self) -> str:
        """The address."""
        return self._account.email if self._account is not None else ""

    def get_username(self) -> str:
        """Return the id: an address may change, and a name is nobody's alone."""
        return self.username

    def get_full_name(self) -> str:
        """Return the name."""
        return self._account.name if self._account is not None else ""

    get_short_name = get_full_name

    @property
    def groups(self) -> Roles:
        """The roles, as far as ``user.groups`` is used for them."""
        return Roles(self.principal.roles)

    def get_all_permissions(self, obj: Any = None) -> set[str]:
        """Return what the roles grant; nothing is granted for single objects."""
        return set(self.principal.permissions) if obj is None else set()

    def has_perm(self, perm: str, obj: Any = None) -> bool:
        """Return whether the roles grant a permission."""
        return perm in self.get_all_permissions(obj)

    def has_perms(self, perm_list: Iterable[str], obj: Any = None) -> bool:
        """Return whether the roles grant all of these."""
        return all(self.has_perm(perm, obj) for perm in perm_list)

    def has_module_perms(self, app_label: str) -> bool:
        """Return whether the roles grant anything of an app: ``posts.write`` is one of ``posts``."""
        return any(perm.partition(".")[0] == app_label for perm in self.principal.permissions)

    @cached_property
    def _account(self) -> User | None:
        at_hand = not isinstance(self._blocking.source, Verifier)
        return self._blocking.user(self.principal) if at_hand else None


class Roles:
    """``user.groups.filter(name="editor").exists()``, and no more of a query than that."""

    def __init__(self, names: frozenset[str]) -> None:
        self._names = names

    def __iter__(self) -> Iterator[str]:
        """Return the names."""
        return iter(sorted(self._names))

    def filter(self, *, name: str) -> Roles:
        """Return the one of this name, or none."""
        return Roles(self._names & {name})

    def exists(self) -> bool:
        """Return whether there is any."""
        return bool(self._names)


class Visitor:
    """``request.user`` of nobody, where ``django.contrib.auth`` and its ``AnonymousUser`` are not installed."""

    is_authenticated = is_active = is_staff = is_superuser = False
    is_anonymous = True
    pk = id = None
    username = ""
    groups = Roles(frozenset())

    def has_perm(self, perm: str, obj: Any = None) -> bool:  # noqa: ARG002 - Django's
        """Return False."""
        return False

    has_perms = has_module_perms = has_perm
