refused=0
for shard in "$BUILT"/*/; do
  [ -e "$shard/built.patch" ] || continue
  rm -rf _blobs
  [ ! -d "$shard/_blobs" ] || cp -R "$shard/_blobs" _blobs
  git apply --index --allow-empty --include='collections/*' "$shard/built.patch"
  if git diff --cached --quiet; then
    continue
  elif { [ ! -d _blobs ] || builder offload --quiet; } && rm -rf _blobs && builder check --quiet
  then
    git commit --quiet --message "Build recipes"
  else
    git reset --quiet --hard
    refused=1
  fi
done
