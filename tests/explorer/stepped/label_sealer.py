"""A sealer that hides nothing, and opens nothing under another label than it was sealed with."""

from __future__ import annotations

import json
from typing import Any

from valetkey.errors import DecryptionFailed
from valetkey.model.connections import Sealed
from valetkey.model.ports import Label


class LabelSealer:
    """Seals by writing the label beside the text: the same text under the same label is always the same."""

    def seal(self, plain: bytes, label: Label) -> Sealed:
        return Sealed(json.dumps([*_parts(label), plain.decode()]).encode(), "")

    def open(self, sealed: Sealed, label: Label) -> bytes:
        *bound, plain = json.loads(sealed.blob)
        if bound != _parts(label):
            msg = f"sealed for {bound}, opened as {_parts(label)}"
            raise DecryptionFailed(msg)
        return str(plain).encode()


def unlabelled(blob: bytes) -> str:
    """Return what is sealed, whatever its label."""
    return str(json.loads(blob)[-1])


def _parts(label: Label) -> list[Any]:
    return [label.purpose, label.env, label.id, label.incarnation, label.version]
