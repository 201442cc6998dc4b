"""What the applications under test are configured with, from the environment."""

import os
from typing import Any

ORIGIN = os.environ["ORIGIN"]
OPTIONS: dict[str, Any] = {
    "resource": f"{ORIGIN}/api",
    "issuers": [os.environ["ISSUER"]],
    "scopes": ["read", "write"],
    "allow_loopback": True,
    "public": ["/health"],
    "danger_decoded_path": os.environ.get("DECODED") == "1",
}
