#!/usr/bin/env bash
# of the Node.js buildpack: sourced before whatever the image starts, whichever language that is in
available_mib=$(( $(cat /sys/fs/cgroup/memory/memory.limit_in_bytes) / 1048576 ))
export WEB_MEMORY=${WEB_MEMORY:-512}
export WEB_CONCURRENCY=$(( available_mib / WEB_MEMORY ))
