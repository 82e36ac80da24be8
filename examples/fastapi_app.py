"""FastAPI: ``PROPYLON_PUBLIC_URL=http://localhost:8000/auth uvicorn examples.fastapi_app:app``."""

from fastapi import FastAPI, Request, Response

from propylon import Propylon
from propylon.adapters.fastapi import Auth, SignedIn, Visitor, require, require_fresh

auth = Auth(Propylon.from_env())  # Auth(Verifier(issuer=..., ...)) where Propylon runs elsewhere
app = FastAPI()
auth.guard(app)

@app.get("/me")
async def me(who: SignedIn) -> dict[str, str]:
    return {"user": who.user_id, "session": who.session_id, "credential": who.credential}

@app.get("/maybe")
async def maybe(who: Visitor) -> dict[str, str | None]:
    return {"user": who.user_id if who else None}

@app.get("/")
@app.get("/admin", dependencies=[require(roles="admin")])
@app.get("/write", dependencies=[require(permissions="posts.write")])
@app.get("/orders", dependencies=[require(scopes="orders")])
@app.get("/soon", dependencies=[require(left_s=60)])
@app.post("/pay", dependencies=[require_fresh(300)])
async def welcome() -> str:
    return "You may."

@app.get("/cart")
async def cart(who: SignedIn) -> dict[str, int]:
    return {"n": (await who.data()).value.get("n", 0)}

@app.post("/cart")
async def add_to_cart(who: SignedIn) -> dict[str, int]:
    return (await who.update_data(lambda data: {**data, "n": data.get("n", 0) + 1})).value

@app.post("/leave", status_code=204)
async def leave(request: Request) -> Response:
    return await auth.sign_out(request)
