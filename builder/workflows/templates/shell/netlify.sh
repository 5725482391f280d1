#: build.sh
npx --yes netlify-cli@27.10.2 deploy --prod --no-build --dir _site --site "$NETLIFY_SITE"
