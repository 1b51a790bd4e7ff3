"""Who Schemathesis is: an administrator, and another one whenever a request
has ended the session, changed the password or deleted the account of the last;
to the OAuth endpoints, a service. Every other request that could name something
that exists names it, so that more than refusals is seen.
"""

import itertools
import os
import uuid

import requests
import schemathesis

API = f"http://127.0.0.1:{os.environ['PORT']}"
PASSWORD = "a password for the scratch database"

accounts = itertools.count()
turns = itertools.count()
# The last administrator's tokens, by the names that fields have.
tokens = {}


def call(method, path, **arguments):
    answer = requests.request(method, API + path, timeout=10, **arguments)
    answer.raise_for_status()
    return answer.json()


def register(prefix):
    name = f"{prefix}-{os.getpid()}-{next(accounts)}"
    account = {"username": name, "email": f"{name}@example.com", "password": PASSWORD}
    return account, call("POST", "/auth/register", json=account)["id"]


@schemathesis.auth(refresh_interval=3600, retry_on=[401]).skip_for(
    path_regex="^/oauth2/"
)
class Administrator:
    """A Bearer token of an account of its own."""

    def get(self, case, context):
        account, _ = register("root")
        tokens.update(call("POST", "/auth/login", json=account))
        return tokens["access_token"]

    def set(self, case, token, context):
        case.headers["Authorization"] = f"Bearer {token}"


@schemathesis.auth(refresh_interval=None).apply_to(path_regex="^/oauth2/")
class Service:
    """The credentials of a service (RFC 6749, section 2.3.1)."""

    def get(self, case, context):
        return ("schemathesis", os.environ["CLIENT_SECRET"])

    def set(self, case, credentials, context):
        request = requests.Request("GET", API, auth=credentials).prepare()
        case.headers["Authorization"] = request.headers["Authorization"]


@schemathesis.hook
def map_body(context, body):
    """A good password, a new name, a live token."""
    if not isinstance(body, dict) or next(turns) % 2:
        return body
    fresh = f"name-{os.getpid()}-{next(accounts)}"
    # By name: what is right, and how long what it replaces may be. Anything
    # longer or shorter is wrong on purpose.
    known = {
        "username": (fresh, 1, 64),
        "password": (PASSWORD, 8, 128),
        "new_password": (f"{PASSWORD}, {fresh}", 8, 128),
        "current_password": (PASSWORD, 1, 1024),
        "token": (tokens.get("access_token", ""), 1, 8192),
    }
    if context.operation.path == "/auth/login":
        del known["username"]
    if context.operation.path == "/auth/refresh":
        # Nobody makes one up, and it is good for one time.
        body = {"refresh_token": "", **body}
        account, _ = register("guest")
        token = call("POST", "/auth/login", json=account)["refresh_token"]
        known["refresh_token"] = (token, 0, 8192)
    right = {
        name: value
        for name, (value, shortest, longest) in known.items()
        if isinstance(body.get(name), str) and shortest <= len(body[name]) <= longest
    }
    return {**body, **right}


@schemathesis.hook
def map_path_parameters(context, parameters):
    """An account, or a session, that there is."""
    if not parameters or "id" not in parameters or next(turns) % 2:
        return parameters
    try:
        uuid.UUID(str(parameters["id"]))
    except ValueError:
        return parameters
    if context.operation.path.startswith("/admin/"):
        return {**parameters, "id": register("guest")[1]}
    return parameters
