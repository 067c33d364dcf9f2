"""Call GitHub with httpx.  Once before: `valetkey app add github` and `valetkey connect github`."""

import httpx

from valetkey import Valet, wire_oauth2_credential
from valetkey.adapters.httpx import HttpxAuth

wire_oauth2_credential("github", preset="github", scopes=["repo", "read:user"])
valet = Valet()


def main() -> None:
    github = valet.client("github")
    with httpx.Client(base_url="https://api.github.com", auth=HttpxAuth(github)) as api:  # or an httpx.AsyncClient
        answer = api.get("/user/repos").raise_for_status()
    print(*(repo["full_name"] for repo in answer.json()), sep="\n")


if __name__ == "__main__":
    main()
