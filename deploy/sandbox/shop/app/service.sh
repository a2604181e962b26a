# The shop's service where there is no Python: busybox alone.
. /app/release
case "$kind" in
  exits_at_once) echo "missing setting: SHOP_DATABASE" >&2; exit 1 ;;
  crash_loop) sleep "$seconds"; echo "lost the connection to the database" >&2; exit 1 ;;
  slow_start) sleep "$seconds" & child=$!; trap 'kill $child; exit 0' TERM INT; wait $child ;;
esac
nc -ll -p "${PORT:-8080}" -e /app/answer.sh &
child=$!
# A shell that is process 1 is not stopped by TERM unless it says so.
trap 'kill $child; exit 0' TERM INT
echo "listening on port ${PORT:-8080}"
wait $child
