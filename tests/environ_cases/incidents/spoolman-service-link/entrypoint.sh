#!/bin/sh
SPOOLMAN_HOST=${SPOOLMAN_HOST:-0.0.0.0}
SPOOLMAN_PORT=${SPOOLMAN_PORT:-8000}

exec su-exec app uvicorn spoolman.main:app --host "$SPOOLMAN_HOST" --port "$SPOOLMAN_PORT"
