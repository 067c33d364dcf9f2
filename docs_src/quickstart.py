"""Once: `valetkey app add github`.  First run: a browser opens.  Every later run: silent."""

import httpx2

from valetkey import NotConnected, ReauthorizationRequired, Valet, wire_oauth2_credential

wire_oauth2_credential("github", preset="github", scopes=["repo", "read:user"])  # URLs, hosts, quirks: from the preset
valet = Valet()  # encrypted SQLite in the user's data folder


def main() -> None:
    github = valet.client("github")  # no I/O yet
    try:
        repos = github.get("/user/repos")
    except NotConnected:
        valet.connect("github")  # loopback redirect, PKCE; how="device" or "paste" without a browser here
        repos = github.get("/user/repos")
    except ReauthorizationRequired as exc:
        raise SystemExit(f"{exc} -> {exc.hint}") from None  # hint: "run: valetkey connect github"
    repos.raise_for_status()
    print(*(repo["full_name"] for repo in repos.json()), sep="\n")

    with httpx2.Client(base_url="https://api.github.com", auth=github.auth) as api:  # or keep your own client
        print(api.get("/user").json()["login"], github.status().state)


if __name__ == "__main__":
    main()
