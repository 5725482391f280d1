#: build.sh
GOOGLE_ACCOUNT="$FIREBASE_ACCOUNT"
#: account.sh
npx --yes firebase-tools@15.34.2 deploy --only hosting --non-interactive \
  --project "$FIREBASE_PROJECT" --config _site/firebase.json
