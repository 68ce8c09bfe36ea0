"""The least that a site in production is given."""

PRODUCTION = {
    "ENVIRONMENT": "production",
    "SECRET_KEY": "check-only-0123456789-abcdefghijklmnopqrstuvwxyz-ABCDEFGHIJ",
    "ALLOWED_HOSTS": "xfhandyman.example",
    "SITE_URL": "https://xfhandyman.example",
    "RELEASE": "check",
    "TRUSTED_PROXIES": "127.0.0.1",
    "EMAIL_URL": "smtp://localhost:25",
}
