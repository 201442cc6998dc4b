"""What the applications under test are configured with, from the environment."""

import json
import os
from typing import Any

from keybound import Cors

ORIGIN = os.environ["ORIGIN"]
OPTIONS: dict[str, Any] = {
    "resource": f"{ORIGIN}/api",
    "issuers": [os.environ["ISSUER"]],
    "scopes": ["read", "write"],
    "allow_loopback": True,
    "public": ["/health", "/open/api/vault"],
    "danger_decoded_path": os.environ.get("DECODED") == "1",
    **({"mount_path": os.environ["MOUNT_PATH"]} if "MOUNT_PATH" in os.environ else {}),
    **({"workers": 1} if "ALONE" in os.environ else {}),
    **({"cors": Cors(origins=[os.environ["CORS"]], exposed_headers=["Link"])} if "CORS" in os.environ else {}),
    # What is wrong, for servers that must not start with it.
    **json.loads(os.environ.get("WRONG", "{}")),
}
