refused=0 made=no
rm -rf _blobs
builder sync || refused=$?
git add --all collections
if git diff --cached --quiet; then
  :
elif rm -rf _blobs && builder check --quiet; then
  git commit --quiet --message "Bring mirrors up to date"
  made=yes
else
  git reset --quiet --hard
  refused=1
fi
