REGISTRY_AUTH_FILE="$(mktemp)"
export REGISTRY_AUTH_FILE
trap 'rm -f "$REGISTRY_AUTH_FILE"' EXIT
login="$(printf '%s:%s' "$LAYERS_USER" "$LAYERS_PASSWORD" | base64 --wrap 0)"
printf '{"auths": {"%s": {"auth": "%s"}}}' "$LAYERS_HOST" "$login" > "$REGISTRY_AUTH_FILE"
