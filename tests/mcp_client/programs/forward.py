"""What the runner starts for a scenario: it has the scenario played where everything is imported already.

python -I -S forward.py SOCKET URL
"""

import json
import os
import socket
import sys

path, url = sys.argv[1:]
asked = {
    "scenario": os.environ["MCP_CONFORMANCE_SCENARIO"],
    "context": json.loads(os.environ.get("MCP_CONFORMANCE_CONTEXT") or "{}"),
    "url": url,
}
with socket.socket(socket.AF_UNIX) as line:
    line.connect(path)
    line.sendall(json.dumps(asked).encode() + b"\n")
    said = b"".join(iter(lambda: line.recv(65536), b"")).decode()
sys.stdout.write(said)
sys.exit(not said.startswith("well"))
