#: build.sh
npx --yes wrangler@4.164.0 pages deploy _site --branch main --project-name "$CLOUDFLARE_PROJECT"
