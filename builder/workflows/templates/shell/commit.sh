refused=0
for patch in "$BUILT"/*/built.patch; do
  [ -e "$patch" ] || continue
  git apply --index --allow-empty --include='collections/*' "$patch"
  if git diff --cached --quiet; then
    continue
  elif builder check --quiet; then
    git commit --quiet --message "Build recipes"
  else
    git reset --quiet --hard
    refused=1
  fi
done
