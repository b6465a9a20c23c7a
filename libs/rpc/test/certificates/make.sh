#!/usr/bin/env bash
# Makes the certificates of the tests again: an authority, a server "localhost", a client that may call, one that may not, and one of
# another authority. They protect nothing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
authority() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 36500 -keyout "$1.key" -out "$1.pem" -subj "/CN=$1" 2>/dev/null
}
leaf() {
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$1.key" -out "$1.csr" -subj "/CN=$1" 2>/dev/null
  openssl x509 -req -in "$1.csr" -CA "$2.pem" -CAkey "$2.key" -CAcreateserial -days 36500 -out "$1.pem" -extfile <(printf 'subjectAltName=DNS:%s' "$1") 2>/dev/null
}
authority authority
authority stranger-authority
leaf localhost authority
leaf coordinator authority
leaf trainer authority
leaf stranger stranger-authority
rm -f ./*.csr ./*.srl authority.key stranger-authority.key
