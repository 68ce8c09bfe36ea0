"""What other packages do not promise and the project relies on: one row each of docs/private-names.md.

An upgrade that moves one fails here, with a sentence, and not in front of customers.
"""

import inspect
import re
from collections.abc import Callable
from importlib.metadata import version
from typing import Any, NamedTuple

import pytest
from django.contrib.auth import middleware as auth
from django.core.handlers.wsgi import WSGIRequest
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.base import DatabaseWrapper
from django.forms import ModelForm
from django.http import FileResponse
from django.utils import log
from gunicorn.http.body import Body, LengthReader
from gunicorn.http.unreader import SocketUnreader, Unreader
from gunicorn.http.wsgi import Response
from gunicorn.workers import gthread
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk._shared_internal import BatchProcessor
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from procrastinate import App
from procrastinate.connector import BaseConnector
from procrastinate.contrib.django.models import ProcrastinateEvent, ProcrastinateJob
from prometheus_client import mmap_dict, multiprocess, values
from sentry_sdk import utils

from harness.stack import BASE_DIR


class Private(NamedTuple):
    """A name, as the table has it, and whether the installed version still has it."""

    package: str
    name: str
    holds: Callable[[], bool]


def sets(owner: Any, *attributes: str) -> bool:
    """Whether a class, or a function, assigns these attributes of some object."""
    source = inspect.getsource(owner)
    return all(re.search(rf"\.{name}\b[^=\n]*=[^=]", source) for name in attributes)


def names(owner: Any, *words: str) -> bool:
    """Whether the source of a class or function has these words."""
    source = inspect.getsource(owner)
    return all(word in source for word in words)


def has(owner: Any, *attributes: str) -> bool:
    return all(hasattr(owner, name) for name in attributes)


def takes(function: Any, *parameters: str) -> bool:
    return set(parameters) <= set(inspect.signature(function).parameters)


_WORKER = [
    "enqueue_req",
    "handle",
    "finish_request",
    "murder_pending",
    "set_accept_enabled",
    "wait_for_and_dispatch_events",
]
_STATE = ["tpool", "poller", "method_queue", "pending_conns", "nr_conns"]

PRIVATE = [
    Private("django", "request._cached_user", lambda: sets(auth.get_user, "_cached_user")),
    Private("django", "response._has_been_logged", lambda: names(log.log_response, "_has_been_logged")),
    Private("django", "FileResponse.file_to_stream", lambda: sets(FileResponse, "file_to_stream")),
    Private("django", "DatabaseWrapper._connection_pools", lambda: has(DatabaseWrapper, "_connection_pools")),
    Private("django", "DatabaseWrapper._close, _commit", lambda: has(BaseDatabaseWrapper, "_close", "_commit")),
    Private("django", "WSGIRequest._stream", lambda: sets(WSGIRequest, "_stream")),
    Private("django", "WSGIRequest._set_content_type_params", lambda: has(WSGIRequest, "_set_content_type_params")),
    Private("django", "ModelForm._post_clean", lambda: has(ModelForm, "_post_clean")),
    Private(
        "prometheus-client",
        "MmapedDict._f, _m, _used, _capacity, _positions, _fname",
        lambda: sets(mmap_dict.MmapedDict, "_f", "_m", "_used", "_capacity", "_positions", "_fname"),
    ),
    Private("prometheus-client", "MmapedDict._init_value", lambda: has(mmap_dict.MmapedDict, "_init_value")),
    Private("prometheus-client", "values.MmapedDict", lambda: names(values.MultiProcessValue, "MmapedDict(filename)")),
    Private(
        "prometheus-client",
        "values.ValueClass",
        lambda: has(values, "ValueClass") and takes(values.MultiProcessValue(), "name", "labelnames", "labelvalues"),
    ),
    Private(
        "prometheus-client",
        "files named counter_<pid>.db, histogram_<pid>.db",
        lambda: names(values.MultiProcessValue, "'{}_{}.db'") and has(multiprocess, "mark_process_dead"),
    ),
    Private("gunicorn", "ThreadWorker's methods", lambda: has(gthread.ThreadWorker, *_WORKER, "_cap_keepalive")),
    Private("gunicorn", "ThreadWorker's state", lambda: sets(gthread.ThreadWorker, *_STATE)),
    Private(
        "gunicorn",
        "TConn.initialized, data_ready, parser, timeout",
        lambda: sets(gthread.TConn, "initialized", "data_ready", "parser", "timeout"),
    ),
    Private("gunicorn", "DEFAULT_WORKER_DATA_TIMEOUT", lambda: has(gthread, "DEFAULT_WORKER_DATA_TIMEOUT")),
    Private("gunicorn", "SocketUnreader.max_body_chunk", lambda: has(SocketUnreader, "max_body_chunk")),
    Private("gunicorn", "parser.unreader.buf", lambda: sets(Unreader, "buf")),
    Private("gunicorn", "wsgi.input.reader.length", lambda: sets(Body, "reader") and sets(LengthReader, "length")),
    Private("gunicorn", "Response.force_close", lambda: has(Response, "force_close", "start_response")),
    Private(
        "opentelemetry-sdk",
        "BatchSpanProcessor._batch_processor, its _queue, _max_queue_size and shutdown(timeout_millis)",
        lambda: (
            sets(BatchSpanProcessor, "_batch_processor")
            and sets(BatchProcessor, "_queue", "_max_queue_size")
            and takes(BatchProcessor.shutdown, "timeout_millis")
        ),
    ),
    Private(
        "opentelemetry-sdk",
        "BatchLogRecordProcessor._batch_processor",
        lambda: sets(BatchLogRecordProcessor, "_batch_processor"),
    ),
    Private(
        "opentelemetry-exporter-otlp-proto-http",
        "trace_exporter.encode_spans",
        lambda: "encode_spans" in OTLPSpanExporter.export.__code__.co_names,
    ),
    Private(
        "sentry-sdk",
        "utils.single_exception_from_error_tuple",
        lambda: takes(utils.single_exception_from_error_tuple, "mechanism", "exception_id", "parent_id", "source"),
    ),
    Private("procrastinate", "App.worker_defaults, job_manager", lambda: sets(App, "worker_defaults", "job_manager")),
    Private("procrastinate", "get_sync_connector", lambda: has(BaseConnector, "get_sync_connector")),
    Private(
        "procrastinate",
        "tables procrastinate_jobs, procrastinate_events",
        lambda: (
            {"id", "status", "scheduled_at"} <= {field.name for field in ProcrastinateJob._meta.get_fields()}
            and {"job", "type", "at"} <= {field.name for field in ProcrastinateEvent._meta.get_fields()}
        ),
    ),
]


@pytest.mark.parametrize("private", PRIVATE, ids=lambda private: private.name)
def test_what_no_package_promises_is_still_there(private: Private) -> None:
    """Find what took its place, mend who uses it (docs/private-names.md has the list), and this row with it."""
    installed = f"{private.package} {version(private.package)}"
    assert private.holds(), f"{installed} has moved {private.name}: see docs/private-names.md"


def test_the_table_has_each_of_them_and_no_other() -> None:
    page = (BASE_DIR / "docs" / "private-names.md").read_text()
    rows = re.findall(r"^\| ([a-z-]+) \| `([^`]+)` \|", page, re.MULTILINE)
    assert sorted(rows) == sorted((private.package, private.name) for private in PRIVATE)


def test_each_package_is_bounded() -> None:
    required = (BASE_DIR / "requirements.in").read_text()
    for package in {private.package for private in PRIVATE}:
        assert re.search(rf"^{package}(\[[a-z,]+\])?(~=|.*<)", required, re.MULTILINE), package
