from valetkey import NotConnected, Valet, wire_oauth2_credential

wire_oauth2_credential("github", preset="github", scopes=["repo", "read:user"])
github = Valet().client("github")

try:
    repos = github.get("/user/repos")
except NotConnected as problem:
    raise SystemExit(problem.hint) from None  # run: valetkey connect github

for repo in repos.raise_for_status().json():
    print(repo["full_name"])
