"""What made work fail is charged to what it called, whoever's exception it is."""

import smtplib
import urllib.request

import pytest

from harness.stack import free_port
from telemetry.observe.work import failure


def test_a_mail_server_that_refuses_is_a_failure_of_mail() -> None:
    with pytest.raises(ConnectionRefusedError) as refused:
        smtplib.SMTP("127.0.0.1", free_port())
    assert failure(refused.value, 500) == "mail:ConnectionRefusedError"


def test_a_host_that_refuses_is_a_failure_of_the_call() -> None:
    with pytest.raises(OSError, match="refused") as refused:
        urllib.request.urlopen(f"http://127.0.0.1:{free_port()}/")
    assert failure(refused.value, 500).startswith("http:")


def test_a_file_that_is_missing_is_a_failure_of_the_code() -> None:
    with pytest.raises(FileNotFoundError) as missing:
        open("/nonexistent")  # noqa: SIM115  # it never opens
    assert failure(missing.value, 500) == "code:FileNotFoundError"
