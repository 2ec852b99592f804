#!/bin/sh
# The first process of a worker's container. A worker that crashes is started again: would the container end with it, its
# guests would end, too. Ends with the worker once it is asked to.
# usage: worker-init COMMAND [ARGUMENT…]
stopping=
worker=
trap 'stopping=1; [ -z "$worker" ] || kill -TERM "$worker" 2>/dev/null' TERM INT

while [ -z "$stopping" ]; do
  "$@" &
  worker=$!
  # A signal ends `wait` before the worker has ended. Processes that the worker leaves behind are waited for by the shell.
  while kill -0 "$worker" 2>/dev/null; do wait "$worker"; code=$?; done
  [ -n "$stopping" ] && exit "$code"
  echo "worker-init: the worker ended with code $code; it is started again" >&2
  sleep "${WORKER_RESTART_SECONDS:-1}" &
  wait $!
done
