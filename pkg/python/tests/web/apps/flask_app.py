"""A Flask application."""

from flask import Flask, g, request
from settings import OPTIONS

from keybound.flask import Keybound, require

app = Flask(__name__)
Keybound(app, **OPTIONS)


@app.get("/health")
def health() -> str:
    return "fine"


@app.get("/api/vault")
def vault() -> str:
    """Protected by the middleware alone."""
    return "gold"


@app.route("/api/write", methods=["GET", "POST"])
@require("write")
def write() -> dict[str, bool]:
    return {"wrote": True}


@app.route("/api/", defaults={"rest": ""}, methods=["GET", "POST"])
@app.route("/api/<path:rest>", methods=["GET", "POST"])
def echo(rest: str) -> dict[str, str | None]:
    return {"path": request.path, "subject": g.principal.subject, "thumbprint": g.principal.thumbprint}


if __name__ == "__main__":
    import sys

    app.run(port=int(sys.argv[1]), threaded=True)
