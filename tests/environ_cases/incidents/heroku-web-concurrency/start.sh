#!/usr/bin/env bash
. ./web_env.sh
exec gunicorn --bind=0.0.0.0:8000 app.wsgi
