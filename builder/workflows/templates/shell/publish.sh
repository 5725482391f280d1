#: unset.sh
builder publish "${at:-$PUBLISH_TO}" -t @TARGET@ --prune --baseurl "" \
  --url "${REGISTRY_URL:?set this variable to the address of the site}"
