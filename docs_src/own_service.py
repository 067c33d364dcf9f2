"""Tokens in a secret service of your own: anything with get, set and delete."""

from pathlib import Path

from valetkey import Valet, wire_oauth2_credential

wire_oauth2_credential("github", preset="github", scopes=["read:user"])


class Folder:
    """Stands for the vault of your company.  A file per secret is no way to keep real ones."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def get(self, secret_id: str) -> str | None:
        file = self.place / secret_id
        return file.read_text() if file.exists() else None

    def set(self, secret_id: str, value: str) -> None:
        (self.place / secret_id).write_text(value)

    def delete(self, secret_id: str) -> None:
        (self.place / secret_id).unlink(missing_ok=True)


vault = Folder(Path("secrets"))
valet = Valet(vault, secrets=vault)  # tokens are written there; app credentials are read there

if __name__ == "__main__":
    if valet.client("github").status().state != "connected":
        valet.connect("github")
    print(valet.client("github").get("/user").raise_for_status().json()["login"])
