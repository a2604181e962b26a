#!/bin/sh
# What a real runner would do; the sandbox's pipeline makes the same image without an engine.
set -eu
tag=$1 sha=$2 image=${IMAGE:?wanted a repository such as registry.example.net/acme/shop}
printf 'version=%s\nkind=good\nseconds=0\nbuild=\n' "$tag" > app/release
docker build --tag "$image:$tag" --tag "$image:$sha" .
docker push "$image:$tag"
docker push "$image:$sha"
