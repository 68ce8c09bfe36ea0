"""Background tasks of what is neither the business nor the watching: staff's sign-ins."""

from datetime import timedelta

from axes.models import AccessAttempt
from django.core.management import call_command
from django.utils import timezone
from procrastinate.contrib.django import app

KEEP_FAILED_SIGN_INS = timedelta(days=7)  # long enough to look into an attack; the rows have addresses


@app.periodic(cron="55 3 * * *")
@app.task(name="forget_sign_ins")
def forget_sign_ins(timestamp: int) -> None:
    """Delete old failed sign-ins, and sessions that have run out."""
    AccessAttempt.objects.filter(attempt_time__lt=timezone.now() - KEEP_FAILED_SIGN_INS).delete()
    call_command("clearsessions")
