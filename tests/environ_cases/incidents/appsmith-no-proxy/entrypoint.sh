#!/usr/bin/env bash
export NO_PROXY="${NO_PROXY-localhost,127.0.0.1}"
exec supervisord -n
