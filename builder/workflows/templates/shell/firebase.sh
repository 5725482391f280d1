#: build.sh
GOOGLE_APPLICATION_CREDENTIALS="$(mktemp)"
export GOOGLE_APPLICATION_CREDENTIALS
printf '%s' "$FIREBASE_ACCOUNT" > "$GOOGLE_APPLICATION_CREDENTIALS"
npx --yes firebase-tools@15.34.2 deploy --only hosting --non-interactive \
  --project "$FIREBASE_PROJECT" --config _site/firebase.json
