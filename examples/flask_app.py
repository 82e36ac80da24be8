"""Flask: ``PROPYLON_PUBLIC_URL=http://localhost:8000/auth gunicorn -w 2 --threads 4 examples.flask_app:app``."""

from flask import Flask, Response

from propylon import Propylon
from propylon.adapters.flask import Auth, current_principal, require, require_fresh, visitor

app = Flask(__name__)
auth = Auth(Propylon.from_env(), app)  # Auth(Verifier(issuer=..., ...), app) where Propylon runs elsewhere

@app.get("/me")
@require()
def me() -> dict[str, str]:
    who = current_principal
    return {"user": who.user_id, "session": who.session_id, "credential": who.credential}

@app.get("/maybe")
def maybe() -> dict[str, str | None]:
    who = visitor()
    return {"user": who.user_id if who else None}

@app.get("/cart")
def cart() -> dict[str, int]:
    return {"n": auth.data().value.get("n", 0)}

@app.post("/cart")
def add_to_cart() -> dict[str, int]:
    return auth.update_data(lambda data: {**data, "n": data.get("n", 0) + 1}).value

@app.post("/leave")
def leave() -> Response:
    return auth.sign_out()

@app.get("/")
def welcome() -> str:
    return "You may."
app.post("/pay", endpoint="pay")(require_fresh(300)(welcome))
for path, demand in {"admin": require(roles="admin"), "write": require(permissions="posts.write"),
                     "orders": require(scopes="orders"), "soon": require(left_s=60)}.items():
    app.get(f"/{path}", endpoint=path)(demand(welcome))
