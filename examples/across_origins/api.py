"""An API for pages of another origin: how to start it stands in docs/origins.md."""

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware

from propylon import Propylon
from propylon.adapters.fastapi import Auth, SignedIn

propylon = Propylon.from_env()
app = FastAPI()
Auth(propylon).guard(app)
# For the routes below; Propylon's own have it by the same setting, PROPYLON_ORIGINS.
app.add_middleware(
    CORSMiddleware,
    allow_origins=propylon.config.origins,  # never "*": with credentials no browser takes it
    allow_credentials=True,
    allow_methods=["GET", "POST", "PUT", "DELETE"],
    allow_headers=["Authorization", "Content-Type", "If-Match"],
    expose_headers=["ETag", "Retry-After", "WWW-Authenticate", "Propylon-Mode", "Content-Language"],
)


@app.get("/me")
async def me(who: SignedIn) -> dict[str, str]:
    """Say who is calling, and by what."""
    return {"user": who.user_id, "session": who.session_id, "credential": who.credential}


@app.post("/cart")
async def add_to_cart(item: dict[str, str], who: SignedIn) -> dict[str, list[str]]:
    """Put something into the cart of this session."""
    data = await who.update_data(lambda data: {"cart": [*data.get("cart", []), item["name"]]})
    return {"cart": data.value["cart"]}
