PLAN="$(mktemp)"
builder recipes plan > "$PLAN"
mapfile -t shares < "$PLAN"
[ "$MACHINE" -le "${#shares[@]}" ] || exit 0
read -r OWNER NAME <<< "${shares[(CI_PIPELINE_IID * 4 + MACHINE) % ${#shares[@]}]}"
#: plan.sh
