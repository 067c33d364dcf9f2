"""The same without a preset: every field by hand, and the app credentials under a schema."""

from valetkey import AppCredentials, Valet, wire_oauth2_credential, wire_secret

wire_secret("github-app-credentials", display_name="GitHub App", schema=AppCredentials)
wire_oauth2_credential(
    "github",
    display_name="GitHub",
    description="GitHub API access for repository operations",
    secret_id="github-app-credentials",
    token_secret_id="github-oauth-token",
    authorization_url="https://github.com/login/oauth/authorize",
    token_url="https://github.com/login/oauth/access_token",
    scopes=["repo", "read:user"],
    client_auth="client_secret_post",
    api_hosts=["api.github.com"],
)
valet = Valet()


def main() -> None:
    github = valet.client("github")
    if github.status().state != "connected":
        valet.connect("github")
    answer = github.get("https://api.github.com/user/repos")
    print(*(repo["full_name"] for repo in answer.raise_for_status().json()), sep="\n")


if __name__ == "__main__":
    main()
