#!/bin/bash
set -e
export HOME=/app
for file in "$HOME"/.profile.d/*; do . "$file"; done
cd "$HOME"
exec supervisord -c supervisord.conf
