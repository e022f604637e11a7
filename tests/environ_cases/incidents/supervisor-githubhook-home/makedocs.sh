#!/bin/bash
cd /server
git pull readonly master >&2
gitbook install /server >&2
gitbook build /server /var/www/server >&2
