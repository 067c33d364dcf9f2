"""Reading forms: what is no form of ours is refused with a page that says so, and nothing is guessed."""

from __future__ import annotations

from typing import Final
from urllib.parse import unquote_to_bytes

from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request

FORM: Final = "application/x-www-form-urlencoded"
WITH_FILES: Final = "multipart/form-data"
FIELDS: Final = 2000
"""Fields of a form, at most."""


async def read_form(request: Request, *, files: int = 0) -> FormData:
    """Return the fields of a form, and at most so many files.

    Raises:
        HTTPException: It is of another type (415), or not UTF-8, or has too many fields (400).
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    body = await request.body()
    if files and kind == WITH_FILES:
        return await request.form(max_files=files, max_fields=FIELDS)
    if kind != FORM:
        if not body and not kind:
            return FormData()
        raise HTTPException(415, "form_type")
    try:
        unquote_to_bytes(body.replace(b"+", b" ")).decode()
    except UnicodeDecodeError as error:
        raise HTTPException(400, "form_encoding") from error
    return await request.form(max_files=0, max_fields=FIELDS)
