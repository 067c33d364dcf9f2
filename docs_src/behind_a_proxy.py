"""Console and connect pages behind a proxy that takes the path of the public address off."""

from urllib.parse import urlsplit

import uvicorn

from valetkey import Valet
from valetkey.server import create_app

PUBLIC = "https://app.example.com/accounts"

valet = Valet(base_url=PUBLIC)
pages = create_app(valet, base_url=PUBLIC)

if __name__ == "__main__":
    uvicorn.run(pages, port=8000, root_path=urlsplit(PUBLIC).path)
