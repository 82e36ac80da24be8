"""flask-jwt-extended, which loads no user unless it is told how."""

from datetime import timedelta

from flask import Flask, jsonify
from flask_jwt_extended import JWTManager, create_access_token, get_jwt_identity, jwt_required

from bench.peers import HOUR_S, SECRET, WHO


def app() -> Flask:
    """Return the app."""
    made = Flask(__name__)
    made.config.update(JWT_SECRET_KEY=SECRET, JWT_ACCESS_TOKEN_EXPIRES=timedelta(seconds=HOUR_S))
    JWTManager(made)

    @made.get("/me")
    @jwt_required()
    def me() -> dict[str, str]:
        return {"id": get_jwt_identity()}

    @made.get("/sign-in")
    def sign_in() -> object:
        return jsonify(f"Authorization: Bearer {create_access_token(WHO)}")

    return made
