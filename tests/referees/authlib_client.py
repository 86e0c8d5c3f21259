"""Authlib and joserfc against an authorization server: each flow is one line of JSON on stdout.

Environment: ISSUER, MAILBOX (see walk.mjs), NODE (a Node that runs walk.mjs).
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"  # the server under test is on loopback, without TLS

import requests
from authlib.common.security import generate_token
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from authlib.oidc.core import CodeIDToken
from authlib.oidc.discovery import OpenIDProviderMetadata
from joserfc import jwk, jwt
from joserfc.errors import JoseError

ISSUER = os.environ["ISSUER"]
DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
CALLBACK = "https://client.example.test/callback"
META = requests.get(f"{ISSUER}/.well-known/openid-configuration", timeout=10).json()
KEYS = jwk.KeySet.import_key_set(requests.get(META["jwks_uri"], timeout=10).json())


def register(**metadata):
    asked = {
        "redirect_uris": [CALLBACK],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "client_name": "a Python client",
        "id_token_signed_response_alg": "ES256",
        **metadata,
    }
    answer = requests.post(META["registration_endpoint"], json=asked, timeout=10)
    assert answer.status_code == 201, answer.text
    return answer.json()


def person_opens(url, *stay):
    walk = [os.environ["NODE"], str(Path(__file__).with_name("walk.mjs")), url, *stay]
    return subprocess.run(walk, check=True, capture_output=True, text=True).stdout.strip()


def session(client, **more):
    return OAuth2Session(
        client["client_id"],
        client.get("client_secret"),
        token_endpoint_auth_method=client["token_endpoint_auth_method"],
        redirect_uri=CALLBACK,
        scope="openid email offline_access",
        code_challenge_method="S256",
        **more,
    )


def signed_in(client, configure=lambda it: None):
    own = session(client)
    configure(own)
    verifier, nonce = generate_token(48), generate_token(20)
    url, state = own.create_authorization_url(META["authorization_endpoint"], code_verifier=verifier, nonce=nonce, prompt="consent")
    assert create_s256_code_challenge(verifier) in url
    token = own.fetch_token(META["token_endpoint"], authorization_response=person_opens(url), state=state, code_verifier=verifier)
    return own, token, nonce


class Metadata(OpenIDProviderMetadata):
    """All that OpenID Connect Discovery asks but one thing: RS256, which docs/protocol-notes.md says we never sign with."""

    def validate_id_token_signing_alg_values_supported(self):
        assert sorted(self["id_token_signing_alg_values_supported"]) == ["ES256", "EdDSA"], self


def metadata_is_valid():
    Metadata(META).validate()
    answer = requests.get(f"{ISSUER}/.well-known/oauth-authorization-server", timeout=10)
    AuthorizationServerMetadata(answer.json()).validate()


def id_token_by_the_clients_own_rules():
    client = register(token_endpoint_auth_method="client_secret_basic")
    _, token, nonce = signed_in(client)
    options = {"iss": {"essential": True, "value": ISSUER}, "aud": {"essential": True, "value": client["client_id"]}}
    decoded = jwt.decode(token["id_token"], KEYS, algorithms=["ES256"])
    params = {"nonce": nonce, "client_id": client["client_id"], "access_token": token["access_token"]}
    CodeIDToken(decoded.claims, decoded.header, options, params).validate(leeway=5)


def device_grant():
    client = register(token_endpoint_auth_method="none", grant_types=[DEVICE, "refresh_token"], response_types=[], redirect_uris=[])
    started = requests.post(META["device_authorization_endpoint"], data={"client_id": client["client_id"], "scope": "openid email"}, timeout=10).json()
    own = OAuth2Session(client["client_id"], token_endpoint_auth_method="none")
    try:
        own.fetch_token(META["token_endpoint"], grant_type=DEVICE, device_code=started["device_code"])
        raise AssertionError("a device was let in before anybody said yes")
    except OAuthError as error:
        assert error.error == "authorization_pending", error
    person_opens(started["verification_uri_complete"], "stay")
    time.sleep(started["interval"])
    token = own.fetch_token(META["token_endpoint"], grant_type=DEVICE, device_code=started["device_code"])
    assert own.get(META["userinfo_endpoint"]).json()["email"] == "ada@example.test", token


def code_flow():
    client = register(token_endpoint_auth_method="client_secret_basic")
    own, token, nonce = signed_in(client)
    decoded = jwt.decode(token["id_token"], KEYS, algorithms=["ES256"])
    now = {"exp": {"essential": True}, "iat": {"essential": True}}
    claims = jwt.JWTClaimsRegistry(iss={"essential": True, "value": ISSUER}, aud={"essential": True, "value": client["client_id"]}, nonce={"essential": True, "value": nonce}, **now)
    claims.validate(decoded.claims)
    info = own.get(META["userinfo_endpoint"]).json()
    assert info["sub"] == decoded.claims["sub"], info
    assert info["email"] == "ada@example.test", info
    access = jwt.decode(token["access_token"], KEYS, algorithms=["ES256", "Ed25519", "EdDSA"]) if token["access_token"].count(".") == 2 else None
    assert access is None or access.header["typ"] == "at+jwt", access.header


def id_token_is_checked():
    client = register(token_endpoint_auth_method="client_secret_post")
    _, token, _ = signed_in(client)
    head, body, signature = token["id_token"].split(".")
    forged = ".".join([head, body[:-2] + ("AA" if body[-2:] != "AA" else "BB"), signature])
    try:
        jwt.decode(forged, KEYS, algorithms=["ES256"])
    except (JoseError, ValueError):
        return
    raise AssertionError("a changed ID token was taken")


def refresh():
    client = register(token_endpoint_auth_method="client_secret_basic")
    own, token, _ = signed_in(client)
    fresh = own.refresh_token(META["token_endpoint"], refresh_token=token["refresh_token"])
    assert fresh["refresh_token"] != token["refresh_token"]


def private_key_jwt():
    key = jwk.ECKey.generate_key("P-256", {"kid": "one", "use": "sig", "alg": "ES256"})
    client = register(token_endpoint_auth_method="private_key_jwt", token_endpoint_auth_signing_alg="ES256", jwks={"keys": [key.as_dict(private=False)]})
    client["client_secret"] = key
    method = PrivateKeyJWT(META["token_endpoint"], alg="ES256", headers={"kid": "one"})
    _, token, _ = signed_in(client, lambda it: it.register_client_auth_method(method))
    assert token["id_token"]


def client_credentials():
    client = register(token_endpoint_auth_method="client_secret_basic", grant_types=["client_credentials"], response_types=[], redirect_uris=[])
    own = OAuth2Session(client["client_id"], client["client_secret"], token_endpoint_auth_method="client_secret_basic")
    token = own.fetch_token(META["token_endpoint"], grant_type="client_credentials")
    assert token["token_type"].lower() == "bearer", token
    assert token["expires_at"] > time.time()


def introspection_and_revocation():
    client = register(token_endpoint_auth_method="client_secret_basic")
    own, token, _ = signed_in(client)
    assert own.introspect_token(META["introspection_endpoint"], token=token["access_token"]).json()["active"] is True
    assert own.revoke_token(META["revocation_endpoint"], token=token["refresh_token"]).status_code == 200
    assert own.introspect_token(META["introspection_endpoint"], token=token["access_token"]).json()["active"] is False


FLOWS = [metadata_is_valid, code_flow, id_token_by_the_clients_own_rules, id_token_is_checked, device_grant, refresh, private_key_jwt, client_credentials, introspection_and_revocation]

for flow in FLOWS:
    if len(sys.argv) > 1 and flow.__name__ not in sys.argv[1:]:
        continue
    try:
        flow()
        print(json.dumps({"check": flow.__name__, "ok": True}), flush=True)
    except Exception as error:  # every failure is a line of the report, whatever its kind
        print(json.dumps({"check": flow.__name__, "ok": False, "why": f"{type(error).__name__}: {error}"}), flush=True)
