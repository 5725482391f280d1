builder build -t @TARGET@ -d _site --baseurl "" \
  --url "${REGISTRY_URL:?set this variable to the address of the site}"
