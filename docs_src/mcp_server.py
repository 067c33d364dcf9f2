"""An MCP server with one tool.  People sign in for it at LOGIN; `valetkey practice --port 8422` is such a place."""

import os

import httpx2
from mcp.server.auth.provider import AccessToken, TokenVerifier
from mcp.server.auth.settings import AuthSettings
from mcp.server.mcpserver import MCPServer

LOGIN = os.environ.get("LOGIN", "http://127.0.0.1:8422")
PORT = int(os.environ.get("PORT", "8423"))


class Verifier(TokenVerifier):
    """Takes the tokens that LOGIN knows.  One that says for whom a token is should be asked that as well (RFC 7662)."""

    async def verify_token(self, token: str) -> AccessToken | None:
        async with httpx2.AsyncClient() as http:
            answer = await http.get(f"{LOGIN}/userinfo", headers={"Authorization": f"Bearer {token}"})
        if not answer.is_success:
            return None
        return AccessToken(token=token, client_id="notes", scopes=["notes.read"])


auth = AuthSettings.model_validate(
    {
        "issuer_url": LOGIN,
        "resource_server_url": f"http://127.0.0.1:{PORT}/mcp",
        "required_scopes": ["notes.read"],
        "validate_token_resource": False,  # this LOGIN does not say it
    }
)
server = MCPServer("notes", token_verifier=Verifier(), auth=auth)


@server.tool()
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


if __name__ == "__main__":
    server.run("streamable-http", port=PORT)
