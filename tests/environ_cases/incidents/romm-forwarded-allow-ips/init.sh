#!/usr/bin/env bash
nginx
exec gunicorn \
  --bind=127.0.0.1:5000 \
  --worker-class uvicorn_worker.UvicornWorker \
  --workers "${WEB_SERVER_CONCURRENCY:-1}" \
  main:app
