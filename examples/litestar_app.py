"""Litestar: ``PROPYLON_PUBLIC_URL=http://localhost:8000/auth uvicorn examples.litestar_app:app``."""

from litestar import Litestar, Request, Response, get, post
from litestar.datastructures import State

from propylon import Principal, Propylon
from propylon.adapters.litestar import Auth, SignedIn, Visitor, require, require_fresh

@get("/me")
async def me(who: SignedIn) -> dict[str, str]:
    return {"user": who.user_id, "session": who.session_id, "credential": who.credential}

@get("/maybe")
async def maybe(visitor: Visitor) -> dict[str, str | None]:
    return {"user": visitor.user_id if visitor else None}

@get("/cart")
async def cart(who: SignedIn) -> dict[str, int]:
    return {"n": (await who.data()).value.get("n", 0)}

@post("/cart")
async def add_to_cart(who: SignedIn) -> dict[str, int]:
    return (await who.update_data(lambda data: {**data, "n": data.get("n", 0) + 1})).value

@post("/leave", status_code=204)
async def leave(request: Request[Principal, str, State]) -> Response[None]:
    return await auth.sign_out(request)

async def welcome() -> str:
    return "You may."

allowed = {"/admin": require(roles="admin"), "/write": require(permissions="posts.write"),
           "/orders": require(scopes="orders"), "/soon": require(left_s=60)}
pay = post("/pay", guards=[require_fresh(300)])(welcome)
auth = Auth(Propylon.from_env())  # Auth(Verifier(issuer=..., ...)) where Propylon runs elsewhere
app = Litestar([me, maybe, cart, add_to_cart, leave, get("/")(welcome), pay,
                *(get(path, guards=[demand])(welcome) for path, demand in allowed.items())], plugins=[auth])
