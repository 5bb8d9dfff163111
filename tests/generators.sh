#!/bin/sh
# Fetches the site generators that tests marked `generator` build with: Astro Starlight and Docusaurus from npm, Debian's hugo.
# Whatever cannot be had is no failure: those tests then skip by name.
cd "$(dirname "$0")" || exit 0
for site in starlight docusaurus; do
    if command -v npm >/dev/null 2>&1 && [ ! -d "node/$site/node_modules" ]; then
        (cd "node/$site" && timeout 600 npm install --no-audit --no-fund --no-package-lock --loglevel=error) \
            || printf 'tests/generators.sh: %s could not be installed\n' "$site" >&2
    fi
done
if ! command -v hugo >/dev/null 2>&1 && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    DEBIAN_FRONTEND=noninteractive timeout 240 apt-get install -y -qq --no-install-recommends hugo >/dev/null 2>&1 \
        || printf 'tests/generators.sh: hugo could not be installed\n' >&2
fi
exit 0
