#: build.sh
npx --yes vercel@64.0.2 deploy _site --prod --yes
