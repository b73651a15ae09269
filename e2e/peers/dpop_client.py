"""An identity provider and a client with DPoP (RFC 9449), made with PyJWT and cryptography.

    dpop_client.py issue DIR             makes a provider's key set, a client's key and a token that is bound to it
    dpop_client.py call DIR URL          calls with a fresh proof, twice if the gateway asks for a nonce; prints what was seen
    dpop_client.py thief DIR URL         calls with the same token and a proof of another key
"""

import base64
import hashlib
import json
import pathlib
import sys
import time
import uuid

import jwt
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec


def new_key():
    return ec.generate_private_key(ec.SECP256R1())


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def public(key):
    numbers = key.public_key().public_numbers()
    point = {"x": b64(numbers.x.to_bytes(32, "big")), "y": b64(numbers.y.to_bytes(32, "big"))}
    return {"crv": "P-256", "kty": "EC", **point}


def thumbprint(key):
    canonical = json.dumps(public(key), separators=(",", ":"), sort_keys=True)
    return b64(hashlib.sha256(canonical.encode()).digest())


def proof(key, method, url, token, nonce=None):
    claims = {
        "jti": str(uuid.uuid4()),
        "htm": method,
        "htu": url,
        "iat": int(time.time()),
        "ath": b64(hashlib.sha256(token.encode()).digest()),
    }
    if nonce:
        claims["nonce"] = nonce
    return jwt.encode(claims, key, algorithm="ES256", headers={"typ": "dpop+jwt", "jwk": public(key)})


def issue(directory):
    provider, client = new_key(), new_key()
    keys = {"keys": [{**public(provider), "kid": "p", "use": "sig", "alg": "ES256"}]}
    (directory / "jwks.json").write_text(json.dumps(keys))
    pem = client.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (directory / "client.pem").write_bytes(pem)
    for name, bound in [("bound", {"cnf": {"jkt": thumbprint(client)}}), ("unbound", {})]:
        claims = {"iss": "https://id.example", "aud": "pizza", "sub": "u1", "exp": int(time.time()) + 3600, **bound}
        token = jwt.encode(claims, provider, algorithm="ES256", headers={"kid": "p", "typ": "at+jwt"})
        (directory / f"{name}.token").write_text(token)


def call(directory, url, key):
    token = (directory / "bound.token").read_text()
    session, nonce, seen = requests.Session(), None, []
    for _ in range(2):
        made = proof(key, "GET", url, token, nonce)
        answer = session.get(url, headers={"Authorization": f"DPoP {token}", "DPoP": made})
        nonce = answer.headers.get("DPoP-Nonce")
        challenge = answer.headers.get("WWW-Authenticate", "")
        seen.append({"status": answer.status_code, "proof": made, "challenge": challenge, "nonce": nonce})
        if "use_dpop_nonce" not in challenge:
            break
    print(json.dumps(seen))


verb, directory = sys.argv[1], pathlib.Path(sys.argv[2])
if verb == "issue":
    issue(directory)
elif verb == "call":
    call(directory, sys.argv[3], serialization.load_pem_private_key((directory / "client.pem").read_bytes(), None))
else:
    call(directory, sys.argv[3], new_key())
