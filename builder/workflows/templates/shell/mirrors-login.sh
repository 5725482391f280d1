if [ -n "$MIRRORS_AUTH" ]; then
  mkdir -p "$HOME/.config/containers"
  (umask 077 && printf '%s' "$MIRRORS_AUTH" > "$HOME/.config/containers/auth.json")
fi
