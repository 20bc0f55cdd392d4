#!/bin/sh
# Prints a token for the user "ann": sh shell_token.sh [signing.pem]
# Needs OpenSSL 3.
set -eu
key=${1:-data/keys/signing.pem}
user=ann

base64url() { openssl base64 -A | tr '+/' '-_' | tr -d '='; }

x=$(openssl pkey -in "$key" -pubout -outform DER | tail -c 32 | base64url)
jwk=$(printf '{"crv":"Ed25519","kty":"OKP","x":"%s"}' "$x")
kid=$(printf %s "$jwk" | openssl dgst -sha256 -binary | base64url)

now=$(date +%s)
header=$(printf '{"alg":"EdDSA","kid":"%s"}' "$kid")
weir=$(printf '{"subscribe":["orders/%s/**","chat:*"],"publish":["chat:*"]}' "$user")
claims=$(printf '{"sub":"%s","jti":"%s","iat":%d,"exp":%d,"weir":%s}' \
  "$user" "$(openssl rand -hex 16)" "$now" $((now + 600)) "$weir")
text=$(printf %s "$header" | base64url).$(printf %s "$claims" | base64url)

# pkeyutl needs a file, because it needs to know the size of its input.
file=$(mktemp)
trap 'rm -f "$file"' EXIT
printf %s "$text" >"$file"
signature=$(openssl pkeyutl -sign -rawin -inkey "$key" -in "$file" | base64url)
echo "$text.$signature"
