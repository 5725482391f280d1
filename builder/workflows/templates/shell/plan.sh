names=()
[ -z "${NAME#-}" ] || names=("$NAME")
builder recipes plan --owner "$OWNER" --json -- "${names[@]}" > "$PLAN"
