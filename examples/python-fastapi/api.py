"""An API that takes bound tokens alone: notes, to read with the scope `read` and to write with `write`."""

import os
from typing import Annotated

from fastapi import Depends, FastAPI
from pydantic import BaseModel

from keybound.fastapi import Principal, protect, require

app = FastAPI(title="Notes")
protect(
    app,
    resource=os.environ.get("NOTES_URL", "http://127.0.0.1:8000"),
    issuers=[os.environ.get("NOTES_ISSUER", "http://127.0.0.1:9449")],
    scopes=["read", "write"],
    public=["/docs", "/openapi.json"],
    # Servers without TLS are for development, on this machine.
    allow_loopback=True,
)

notes: list[str] = []


class Note(BaseModel):
    """What is written down."""

    text: str


@app.get("/notes")
async def read(principal: Annotated[Principal, Depends(require("read"))]) -> dict[str, object]:
    """All notes, and who asks."""
    return {"notes": notes, "you": principal.subject, "key": principal.thumbprint}


@app.post("/notes", status_code=201)
async def write(note: Note, principal: Annotated[Principal, Depends(require("write"))]) -> dict[str, int]:
    """Adds a note."""
    notes.append(f"{principal.subject}: {note.text}")
    return {"notes": len(notes)}
