#!/bin/bash
# What a service manager is told (sd_notify), on a real socket.
# shellcheck source=tests/cmd/lib.sh
. "$(dirname "$0")/lib.sh"
command -v python3 >/dev/null || { echo "python3 is not installed"; exit 77; }
python3 tests/cmd/notify.py "$bin/symbid" "$state" "$SYMBI_SOCKET"
