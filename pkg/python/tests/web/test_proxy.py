"""Applications below a path of their origin, behind a real nginx with the lines of the guide, served by uvicorn."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from loopback import PYTHON, ROOT, Answer, exchange, free_port, running
from token_issuer import TokenIssuer

from keybound import Key, proof

GUIDE = (ROOT / "docs" / "python.md").read_text()
(LOCATIONS,) = re.findall(r"^```nginx\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)
NGINX = """
daemon off;
pid {folder}/pid;
error_log stderr crit;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        {locations}
    }}
}}
"""

APPLICATION = """
import os
from typing import Annotated
from fastapi import Depends, FastAPI
from keybound.fastapi import Principal, metadata_route, protect, require

inner = FastAPI(root_path=os.environ.get("ROOT_PATH", ""))
server = protect(inner, resource=os.environ["RESOURCE"], issuers=[os.environ["ISSUER"]], mount_path="/app", public=["/health", "/docs", "/openapi.json"], allow_loopback=True)

@inner.get("/health")
def health() -> str:
    return "fine"

@inner.get("/items/{item:path}")
def items(item: str, principal: Annotated[Principal, Depends(require("read"))]) -> dict[str, str | None]:
    return {"item": item, "subject": principal.subject}

app = inner
if os.environ.get("MOUNTED"):
    app = FastAPI()
    app.mount("/app", inner)
    app.router.routes.append(metadata_route(server))
"""

#: The options of uvicorn, its environment, and what is changed in the lines of nginx.
KINDS: dict[str, tuple[list[str], dict[str, str], tuple[str, str]]] = {
    "root_path": ([], {"ROOT_PATH": "/app"}, ("", "")),
    "mounted": ([], {"MOUNTED": "1"}, ("", "")),
    "taken-away": (["--root-path", "/app"], {}, ("location /app/ {\n    proxy_pass http://127.0.0.1:8000;", "location /app/ {\n    proxy_pass http://127.0.0.1:8000/;")),
}


@dataclass
class Site:
    """An application behind nginx, and a client of it."""

    kind: str
    port: int
    issuer: TokenIssuer
    key: Key
    nonce: str | None = None

    def call(self, path: str, *, proved: str | None = None) -> Answer:
        """Sends a request with token and proof; once more with the nonce that is asked for."""
        origin = f"http://127.0.0.1:{self.port}"
        token = self.issuer.token(f"{origin}/app", self.key.thumbprint)
        for _ in range(2):
            made = proof(key=self.key, method="GET", url=origin + (proved or path), access_token=token, nonce=self.nonce)
            answer = exchange(self.port, path, [("Authorization", f"DPoP {token}"), ("DPoP", made)])
            if not answer.all("dpop-nonce"):
                break
            self.nonce = answer.one("dpop-nonce")
        return answer


@pytest.fixture(scope="module", params=list(KINDS))
def site(request: pytest.FixtureRequest, issuer: TokenIssuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    if shutil.which("nginx") is None:
        pytest.skip("nginx is not installed")
    options, environment, (lines, instead) = KINDS[request.param]
    folder, inside, outside = tmp_path_factory.mktemp("nginx"), free_port(), free_port()
    assert lines in LOCATIONS
    locations = LOCATIONS.replace(lines, instead).replace("127.0.0.1:8000", f"127.0.0.1:{inside}") if lines else LOCATIONS.replace("127.0.0.1:8000", f"127.0.0.1:{inside}")
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, port=outside, locations=locations))
    (folder / "application.py").write_text(APPLICATION)
    environment = {**environment, "RESOURCE": f"http://127.0.0.1:{outside}/app", "ISSUER": issuer.url}
    uvicorn = [PYTHON, "-m", "uvicorn", "--log-level", "warning", "--port", str(inside), *options, "application:app"]
    with ExitStack() as stack:
        stack.enter_context(running(uvicorn, inside, env=environment, cwd=folder))
        stack.enter_context(running(["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", "stderr"], outside, cwd=Path("/")))
        yield Site(request.param, outside, issuer, Key.generate())


def test_the_metadata_is_where_clients_look_for_it(site: Site) -> None:
    refused = exchange(site.port, "/app/items/1")
    place = f"http://127.0.0.1:{site.port}/.well-known/oauth-protected-resource/app"
    assert refused.status == 401 and f'resource_metadata="{place}"' in refused.one("www-authenticate")
    answer = exchange(site.port, "/.well-known/oauth-protected-resource/app")
    assert (answer.status, answer.json()["resource"]) == (200, f"http://127.0.0.1:{site.port}/app")


def test_a_proof_is_for_the_url_that_the_client_sees(site: Site) -> None:
    answer = site.call("/app/items/1?page=2")
    assert (answer.status, answer.json()) == (200, {"item": "1", "subject": "alice"})
    assert site.call("/app/items/1", proved="/items/1").status == 401
    assert site.call("/app/items/1", proved="/app/items/2").status == 401
    # nginx decodes the path where it takes a part of it away.
    assert site.call("/app/items/a%2Fb").status == (401 if site.kind == "taken-away" else 200)


def test_public_paths_are_behind_the_mount_point(site: Site) -> None:
    assert exchange(site.port, "/app/health").status == 200
    assert exchange(site.port, "/health").status in (403, 404), "nginx has no such location"
    for near in ("/app/healthz", "/app/app/health", "/app/", "/app/items/health"):
        assert exchange(site.port, near).status in (401, 404), near
    assert exchange(site.port, "/app/docs").status == 200
    servers = exchange(site.port, "/app/openapi.json").json().get("servers")
    assert servers == [{"url": "/app"}]
