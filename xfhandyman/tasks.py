"""Background tasks of what is neither the business nor the watching: staff's sign-ins."""

from datetime import datetime, timedelta

from axes.models import AccessAttempt
from django.contrib.auth.models import User
from django.core.management import call_command
from django.utils import timezone
from procrastinate.contrib.django import app

from bookings.messaging.delivery import Retries, send_once
from xfhandyman.security import notices

KEEP_FAILED_SIGN_INS = timedelta(days=7)  # long enough to look into an attack; the rows have addresses


@app.task(name="send_security_notice", retry=Retries(max_attempts=15, exponential_wait=2))
def send_security_notice(*, user_id: int, change: str, at: str, key: str, to: str) -> None:
    """Tell a member of staff what changed; at `to` where the account's own address is the one that was changed."""
    user = User.objects.filter(pk=user_id).first()
    if user is not None and (to or user.email):
        send_once(key, "security", notices.email(user, change, datetime.fromisoformat(at), to))


@app.periodic(cron="55 3 * * *")
@app.task(name="forget_sign_ins")
def forget_sign_ins(timestamp: int) -> None:
    """Delete old failed sign-ins, and sessions that have run out."""
    AccessAttempt.objects.filter(attempt_time__lt=timezone.now() - KEEP_FAILED_SIGN_INS).delete()
    call_command("clearsessions")
