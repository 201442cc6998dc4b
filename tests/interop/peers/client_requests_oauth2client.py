"""A client that others wrote, PyPI `requests-oauth2client`, against `keybound serve`.

Its one argument is JSON: `issuer` and `resource`, and `client_id` with `client_secret` of a confidential client. It prints what
it did, one step a line.
"""

import json
import sys

import requests
from requests_oauth2client import DPoPKey, DPoPToken, OAuth2Client

REDIRECT_URI = "http://127.0.0.1:7979/callback"
given = json.loads(sys.argv[1])
# The library takes servers without TLS only if it is told so.
options = {"testing": True}


def visit(url: str) -> str:
    """Follows redirects until one leads back to the client."""
    for _ in range(10):
        response = requests.get(url, allow_redirects=False, timeout=10)
        url = requests.compat.urljoin(url, response.headers["location"])
        if url.startswith(REDIRECT_URI):
            return url
    raise AssertionError("redirects without end")


def expect(condition: bool, text: str) -> None:
    if not condition:
        raise AssertionError(f"expected: {text}")


metadata = f"{given['issuer']}/.well-known/oauth-authorization-server"
client = OAuth2Client.from_discovery_endpoint(
    metadata,
    issuer=given["issuer"],
    client_id="keybound-demo",
    redirect_uri=REDIRECT_URI,
    dpop_bound_access_tokens=True,
    **options,
)
print("discovery")

key = DPoPKey.generate(alg=given.get("algorithm", "ES256"))
request = client.authorization_request(scope="read", resource=given["resource"], dpop=True, dpop_key=key)
pushed = client.pushed_authorization_request(request)
print("pushed request")

response = request.validate_callback(visit(str(pushed)))
token = client.authorization_code(response, validate=False)
expect(isinstance(token, DPoPToken), "the token is bound")
print("code")

for page in (1, 2):
    answer = requests.get(given["resource"], params={"page": page}, auth=token, timeout=10)
    expect(answer.status_code == 200, f"the API answers, not {answer.status_code} {answer.headers}")
print("calls")

renewed = client.refresh_token(token)
answer = requests.post(given["resource"], data="hello", auth=renewed, timeout=10)
expect(answer.status_code == 200, "the API takes the new token")
print("refresh")

bearer = requests.get(given["resource"], headers={"Authorization": f"Bearer {renewed.access_token}"}, timeout=10)
expect(bearer.status_code == 401, "a bound token as Bearer is refused")
print("theft")

service = OAuth2Client.from_discovery_endpoint(
    metadata,
    issuer=given["issuer"],
    client_id=given["client_id"],
    client_secret=given["client_secret"],
    dpop_bound_access_tokens=True,
    **options,
)
own = service.client_credentials(scope="read")
expect(requests.get(given["resource"], auth=own, timeout=10).status_code == 200, "the API serves the service")
print("client credentials")
