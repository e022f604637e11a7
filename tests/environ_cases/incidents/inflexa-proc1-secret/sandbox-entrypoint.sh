#!/bin/sh
set -e
if [ "${SANDBOX_EGRESS_FIREWALL:-0}" = "1" ]; then
    exec setpriv --reuid=1000 --regid=1000 --init-groups sandbox-server "$@"
fi
exec sandbox-server "$@"
