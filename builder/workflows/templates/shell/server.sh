ssh=(sh -c)
case "$PUBLISH_TO" in
  *:*) # USER@HOST:/FOLDER, and not a folder that this machine has
    command -v sshfs > /dev/null || sudo apt-get install --yes --quiet sshfs
    work="$(mktemp -d)"
    at="$work/server"
    mkdir "$at"
    install -m 600 /dev/stdin "$work/key" <<< "$SSH_KEY"
    install -m 600 /dev/stdin "$work/known_hosts" <<< "$SSH_KNOWN_HOSTS"
    login=(-o "IdentityFile=$work/key" -o "UserKnownHostsFile=$work/known_hosts"
      -o StrictHostKeyChecking=yes -p "${SSH_PORT:-22}")
    ssh=(ssh "${login[@]}" "${PUBLISH_TO%%:*}")
    sshfs "${login[@]}" "$PUBLISH_TO" "$at"
    trap 'fusermount3 -u "$at"; rm "$work/key"' EXIT
    ;;
esac
#: publish.sh
[ -z "$RELOAD" ] || "${ssh[@]}" "$RELOAD"
