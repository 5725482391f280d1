for name in AWS_REGION AWS_ENDPOINT_URL BUILDER_SIGNING_KEY; do
  [ -n "${!name:-}" ] || unset "$name"
done
