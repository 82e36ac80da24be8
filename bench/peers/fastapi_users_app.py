"""fastapi-users, with its two strategies: a JWT, and a token in the database."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, FastAPI
from fastapi_users import BaseUserManager, FastAPIUsers, UUIDIDMixin
from fastapi_users.authentication import AuthenticationBackend, BearerTransport, JWTStrategy
from fastapi_users.authentication.strategy.db import AccessTokenDatabase, DatabaseStrategy
from fastapi_users_db_sqlalchemy import SQLAlchemyBaseUserTableUUID, SQLAlchemyUserDatabase
from fastapi_users_db_sqlalchemy.access_token import (
    SQLAlchemyAccessTokenDatabase,
    SQLAlchemyBaseAccessTokenTableUUID,
)
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase

from bench.peers import HOUR_S, SECRET, WHO, database

engine = create_async_engine(f"sqlite+aiosqlite:///{database()}")
new_session = async_sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    """The tables."""


class User(SQLAlchemyBaseUserTableUUID, Base):
    """Who signs in."""


class AccessToken(SQLAlchemyBaseAccessTokenTableUUID, Base):
    """What the database strategy hands out."""


class UserManager(UUIDIDMixin, BaseUserManager[User, UUID]):
    """The guide has everyone make one."""

    reset_password_token_secret = verification_token_secret = SECRET


async def session() -> AsyncIterator[AsyncSession]:
    """Give each request a session, as the guide says."""
    async with new_session() as opened:
        yield opened


async def users(opened: Annotated[AsyncSession, Depends(session)]) -> AsyncIterator[Any]:
    """Give each request the users."""
    yield SQLAlchemyUserDatabase(opened, User)


async def tokens(opened: Annotated[AsyncSession, Depends(session)]) -> AsyncIterator[Any]:
    """Give each request the tokens."""
    yield SQLAlchemyAccessTokenDatabase(opened, AccessToken)


async def manager(found: Annotated[Any, Depends(users)]) -> AsyncIterator[UserManager]:
    """Give each request the manager."""
    yield UserManager(found)


def jwt_strategy() -> JWTStrategy:
    """Return the strategy without a look into the tokens' table; it loads the user all the same."""
    return JWTStrategy(secret=SECRET, lifetime_seconds=HOUR_S)


def database_strategy(
    found: Annotated[AccessTokenDatabase[AccessToken], Depends(tokens)],
) -> DatabaseStrategy[Any, Any, Any]:
    """Return the strategy whose tokens can be revoked."""
    return DatabaseStrategy(found, lifetime_seconds=HOUR_S)


def by_jwt() -> FastAPI:
    """Return the app of the JWT strategy."""
    return _app(jwt_strategy)


def by_database() -> FastAPI:
    """Return the app of the database strategy."""
    return _app(database_strategy)


@asynccontextmanager
async def _schema(_: FastAPI) -> AsyncIterator[None]:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    async with new_session() as opened:
        opened.add(User(id=UUID(WHO), email="bench@example.com", hashed_password="!", is_active=True))
        await opened.commit()
    yield
    await engine.dispose()


def _app(strategy: Any) -> FastAPI:
    backend = AuthenticationBackend("bench", BearerTransport(tokenUrl="sign-in"), strategy)
    current_user = FastAPIUsers[User, UUID](manager, [backend]).current_user(active=True)
    app = FastAPI(openapi_url=None, lifespan=_schema)

    @app.get("/me")
    async def me(user: Annotated[User, Depends(current_user)]) -> dict[str, str]:
        return {"id": str(user.id)}

    @app.get("/sign-in")
    async def sign_in(how: Annotated[Any, Depends(strategy)], managed: Annotated[UserManager, Depends(manager)]) -> str:
        return f"Authorization: Bearer {await how.write_token(await managed.get(UUID(WHO)))}"

    return app
