#!/bin/sh
# Starts a program of the image: `coordinator`, `calibrator`, `emulator-builder`, `trainer`, `corrector` or `emloc`, with the arguments that follow.
set -eu
here=$(dirname "$0")
program=${1:-}
if [ ! -f "$here/dist/$program/$program.mjs" ]; then
  echo "entrypoint: '$program' is none of: $(ls "$here/dist" | tr '\n' ' ')" >&2
  exit 2
fi
shift
exec node --enable-source-maps "$here/dist/$program/$program.mjs" "$@"
