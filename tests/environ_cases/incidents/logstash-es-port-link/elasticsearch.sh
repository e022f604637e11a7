#!/bin/bash
set -e -o pipefail

es_port() {
    local default_port=${ES_PORT_9200_TCP_PORT:-9200}
    echo "${ES_PORT:-$default_port}"
}

sed -i -e "s|ES_PORT_HERE|$(es_port)|g" "$LOGSTASH_CONFIG_FILE"
