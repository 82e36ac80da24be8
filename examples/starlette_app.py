"""Starlette: ``PROPYLON_PUBLIC_URL=http://localhost:8000/auth uvicorn examples.starlette_app:app``."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from propylon import Propylon
from propylon.adapters.starlette import Auth, require, require_fresh, user, visitor

async def me(request: Request) -> Response:
    who = await user(request)
    return JSONResponse({"user": who.user_id, "session": who.session_id, "credential": who.credential})

async def maybe(request: Request) -> Response:
    who = await visitor(request)
    return JSONResponse({"user": who.user_id if who else None})

async def welcome(_: Request) -> Response:
    return Response("You may.")

async def cart(request: Request) -> Response:
    who = await user(request)
    data = (await who.data()) if request.method == "GET" else await who.update_data(one_more)
    return JSONResponse({"n": data.value.get("n", 0)})

def one_more(data: dict[str, int]) -> dict[str, int]:
    return {**data, "n": data.get("n", 0) + 1}

async def leave(request: Request) -> Response:
    return await auth.sign_out(request)

allowed = {"/admin": require(roles="admin"), "/write": require(permissions="posts.write"),
           "/orders": require(scopes="orders"), "/soon": require(left_s=60)}
app = Starlette(routes=[
    Route("/", welcome), Route("/me", me), Route("/maybe", maybe), Route("/cart", cart, methods=["GET", "POST"]),
    Route("/pay", require_fresh(300)(welcome), methods=["POST"]), Route("/leave", leave, methods=["POST"]),
    *(Route(path, demand(welcome)) for path, demand in allowed.items())])
auth = Auth(Propylon.from_env())  # Auth(Verifier(issuer=..., ...)) where Propylon runs elsewhere
auth.guard(app)
