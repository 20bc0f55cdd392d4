# Prints a token for the user "ann": python3 python_token.py [signing.pem]
# Needs: pip install "PyJWT[crypto]"
import hashlib
import json
import sys
import time
import uuid

import jwt
from cryptography.hazmat.primitives.serialization import load_pem_private_key

path = sys.argv[1] if len(sys.argv) > 1 else "data/keys/signing.pem"
with open(path, "rb") as file:
    key = load_pem_private_key(file.read(), password=None)

jwk = json.loads(jwt.algorithms.OKPAlgorithm.to_jwk(key.public_key()))
members = json.dumps({name: jwk[name] for name in ("crv", "kty", "x")}, separators=(",", ":"))
kid = jwt.utils.base64url_encode(hashlib.sha256(members.encode()).digest()).decode()


def token_for(user):
    now = int(time.time())
    claims = {
        "sub": user,
        "jti": str(uuid.uuid4()),
        "iat": now,
        "exp": now + 600,
        "weir": {"subscribe": [f"orders/{user}/**", "chat:*"], "publish": ["chat:*"]},
    }
    return jwt.encode(claims, key, algorithm="EdDSA", headers={"kid": kid})


print(token_for("ann"))
