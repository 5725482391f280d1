for name in AWS_REGION AWS_ENDPOINT_URL BUILDER_SIGNING_KEY; do
  [ -n "${!name:-}" ] || unset "$name"
done
builder publish "${at:-$PUBLISH_TO}" -t @TARGET@ --prune --baseurl "" \
  --url "${REGISTRY_URL:?set this variable to the address of the site}"
