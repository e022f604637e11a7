#!/usr/bin/env bash
set -e
export SUPHOME="/opt/stellar/supervisor"
export PGPORT=5432

if [ -z "$NETWORK" ]; then
  NETWORK="testnet"
fi

case "$NETWORK" in
  testnet) export NETWORK_PASSPHRASE="Test SDF Network ; September 2015" ;;
  pubnet) export NETWORK_PASSPHRASE="Public Global Stellar Network ; September 2015" ;;
  local) export NETWORK_PASSPHRASE="Standalone Network ; February 2017" ;;
  *) echo "Unknown network: '$NETWORK'" >&2; exit 1 ;;
esac

exec supervisord -n -c "$SUPHOME/etc/supervisord.conf"
