"""Call GitHub with requests.  Once before: `valetkey app add github` and `valetkey connect github`."""

import requests

from valetkey import Valet, wire_oauth2_credential
from valetkey.adapters.requests import RequestsAuth

wire_oauth2_credential("github", preset="github", scopes=["repo", "read:user"])
valet = Valet()


def main() -> None:
    github = valet.client("github")
    with requests.Session() as session:
        session.auth = RequestsAuth(github)  # or for one call: requests.get(url, auth=RequestsAuth(github))
        answer = session.get("https://api.github.com/user/repos", timeout=30)
    answer.raise_for_status()
    print(*(repo["full_name"] for repo in answer.json()), sep="\n")


if __name__ == "__main__":
    main()
