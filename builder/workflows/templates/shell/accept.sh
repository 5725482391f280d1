refused=0 made=no
rm -rf _blobs
builder recipes accept "$BUILT" --plan "$PLAN" || refused=1
git add --all collections
if git diff --cached --quiet; then
  :
elif builder check --quiet --base HEAD --author "${OWNER#-}" --max-files 100000 &&
  { [ ! -d _blobs ] || { builder offload --quiet && rm -rf _blobs && builder check --quiet; }; }
then
  git commit --quiet --message "Build recipes"
  made=yes
else
  git reset --quiet --hard
  refused=1
fi
