mkdir -p "$KEEP"
git add --all collections
git diff --cached --binary HEAD > "$KEEP/built.patch"
if compgen -G '_blobs/blobs/*/*' > /dev/null; then cp -R _blobs "$KEEP"; fi
