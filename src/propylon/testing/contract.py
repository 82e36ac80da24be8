"""The contract of a store, as tests: subclass, say how a store is made, and pytest does the rest."""

from __future__ import annotations

from propylon.testing.account_rules import AccountRules
from propylon.testing.agreement_rules import AgreementRules
from propylon.testing.follower_rules import FollowerRules
from propylon.testing.move_rules import MoveRules
from propylon.testing.outbox_rules import OutboxRules
from propylon.testing.race_rules import RaceRules
from propylon.testing.refresh_rules import RefreshRules
from propylon.testing.session_rules import SessionRules
from propylon.testing.sharing_rules import SharingRules
from propylon.testing.upkeep_rules import UpkeepRules


class StoreContract(SessionRules, RefreshRules, MoveRules, AccountRules, AgreementRules, UpkeepRules, RaceRules):
    """What every ``propylon.ports.Store`` does.

    Override ``make_store`` to return an opened store that holds nothing at the start of a test.
    """


class SharedStoreContract(StoreContract, SharingRules):
    """What a store does besides that several processes use together.

    Here ``make_store`` is called several times in one test, also from other threads with an event loop of
    their own: each call returns another object on the same store.
    """


class AccountStoreContract(OutboxRules):
    """What a ``propylon.ports.AccountStore`` does besides: its ``StoreContract`` is kept with sessions in it.

    Override ``make_account_store`` to return an opened store whose sessions are elsewhere, with nothing in it.
    """


class SessionStoreContract(FollowerRules):
    """What a ``propylon.ports.SessionStore`` does besides: its ``StoreContract`` is kept by a ``SplitStore`` on it.

    Override ``make_session_store`` to return an opened store with nothing in it.
    """
