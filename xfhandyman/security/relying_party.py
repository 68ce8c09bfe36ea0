"""What browsers bind a passkey to: the site's name, which is found in SITE_URL."""

from collections.abc import Sequence
from ipaddress import ip_address
from urllib.parse import urlsplit


def relying_party(site_url: str, allowed_hosts: Sequence[str]) -> tuple[str, list[str]]:
    """The ID of WebAuthn's relying party, and the origins at which its passkeys are taken.

    That is the host of an HTTPS `site_url`, and of `allowed_hosts` those below it. Browsers know neither passkeys for
    an address nor, but for localhost, any over plain HTTP: such a site has them at http://localhost alone.
    """
    site = urlsplit(site_url)
    host = site.hostname or ""
    port = f":{site.port}" if site.port not in (None, 80, 443) else ""
    if host != "localhost" and (site.scheme != "https" or _is_address(host)):
        return "localhost", [f"http://localhost{port}"]
    below = sorted(f"https://{name}" for name in allowed_hosts if name.endswith(f".{host}") and name[0] not in ".*")
    return host, [f"{site.scheme}://{host}{port}", *below]


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
