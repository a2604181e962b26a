#!/bin/sh
# Answers one request on its standard input.
. /app/release
read -r method path rest
while read -r line && [ "${line%?}" ]; do :; done
status="200 OK"
said=$version
[ "$kind" = wrong_version ] && said=v0.0.0
case "$path" in
  /health)
    body="{\"status\":\"ok\",\"version\":\"$version\"}"
    case "$kind,$BROKEN_VERSIONS," in
      unhealthy,* | *,"$version",*)
        status="500 Internal Server Error"
        body="{\"status\":\"failing\",\"version\":\"$version\"}" ;;
    esac ;;
  /version) body="{\"version\":\"$said\"}" ;;
  *) status="404 Not Found"; body='{"message":"not found"}' ;;
esac
printf 'HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s' \
  "$status" "${#body}" "$body"
