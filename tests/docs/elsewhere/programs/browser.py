"""A browser, and somebody who agrees to everything: opens a page, and goes wherever it is sent.

What a test names in the variable BROWSER.  Proxy and certificates are those of the environment.
"""

from __future__ import annotations

import re
import sys
from html import unescape
from http.cookiejar import CookieJar
from pathlib import Path
from urllib.parse import unquote, urlsplit
from urllib.request import HTTPCookieProcessor, build_opener

SECONDS = 60
REFRESH = re.compile(r'http-equiv="refresh" content="0;url=([^"]*)"')


def main(page: str) -> None:
    found = REFRESH.search(Path(unquote(urlsplit(page).path)).read_text(encoding="utf-8"))
    if found is None:
        sys.exit(f"{page} leads nowhere")
    with build_opener(HTTPCookieProcessor(CookieJar())).open(unescape(found[1]), timeout=SECONDS) as answer:
        answer.read()


if __name__ == "__main__":
    main(sys.argv[1])
