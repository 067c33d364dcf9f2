"""One of several processes that share a grant: `worker.py CLIENT BASE STORE CALLERS`.  Prints what its calls got."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path

from clients import CLIENTS
from herds import together


def main(name: str, base: str, store: str, callers: str) -> None:
    logging.disable()
    peer = CLIENTS[name]()
    peer.store = Path(store)
    token = None if peer.own_store else json.loads(peer.store.read_text())
    peer.make(base, token, expired=True)
    print("ready", flush=True)
    sys.stdin.readline()
    said, _ = together(peer, f"{base}/api", int(callers))
    print(json.dumps(said))


if __name__ == "__main__":
    main(*sys.argv[1:])
