"""URLs that a document from elsewhere names: which of them may be followed."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from valetkey.errors import ConfigurationError
from valetkey.protocol.urls import is_loopback, require_https, shown


def outside_flaw(url: str, *, named_by: str) -> str:
    """Return why a URL out of a document of `named_by` must not be followed; empty where it may.

    It has to be https, as every URL; and a server elsewhere must not lead us to this machine or into its network (RFC
    9728 section 7.7).  Nor must anybody lead us to a link-local address, where data centres keep what is theirs, who is
    not there too.  Only addresses written as such are looked at: what a name resolves to is not.
    """
    try:
        require_https(url, what="it", name="")
    except ConfigurationError as error:
        return "is not https" if error.code == "url_insecure" else "is no usable https URL"
    if "#" in url:
        return "has a fragment"
    host = urlsplit(url).hostname or ""
    there = urlsplit(named_by).hostname or ""
    if (_is_inside(host) and not _is_inside(there)) or (_is_link_local(host) and not _is_link_local(there)):
        return f"leads into a private network ({shown(url)})"
    return ""


def _is_link_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_link_local
    except ValueError:
        return False


def _is_inside(host: str) -> bool:
    """Whether `host` is this machine, or an address that the public internet has no way to."""
    if is_loopback(host):
        return True
    try:
        return not ipaddress.ip_address(host.strip("[]")).is_global
    except ValueError:
        return False
