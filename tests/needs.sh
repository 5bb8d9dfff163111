#!/bin/sh
# Fetches what some tests need beyond Python: the npm packages `yaml` and `axe-core`, strace, and Debian's Chromium.
# Quick where nothing is missing. Whatever cannot be had is no failure: those tests then skip by name and say why.
cd "$(dirname "$0")" || exit 0

note() { printf 'tests/needs.sh: %s\n' "$1" >&2; }

if [ ! -f node/node_modules/yaml/package.json ] || [ ! -f node/node_modules/axe-core/axe.min.js ] || [ node/package.json -nt node/node_modules/.package-lock.json ]; then
    if command -v npm >/dev/null 2>&1; then
        (cd node && timeout 120 npm ci --silent --no-progress --fetch-retries 1 >/dev/null 2>&1) || note 'the npm packages could not be installed; tests that need them will skip'
        [ -f node/node_modules/.package-lock.json ] && touch node/node_modules/.package-lock.json
    else
        note 'no npm here; tests marked `node` will skip'
    fi
fi

if ! command -v strace >/dev/null 2>&1 && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    DEBIAN_FRONTEND=noninteractive timeout 120 apt-get install -y -qq --no-install-recommends strace >/dev/null 2>&1 \
        || note 'strace could not be installed; the tests of hostile wikis watch files, not system calls'
fi

if ! command -v chromium >/dev/null 2>&1; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        export DEBIAN_FRONTEND=noninteractive
        install='timeout 240 apt-get install -y -qq --no-install-recommends chromium'
        $install >/dev/null 2>&1 || { timeout 120 apt-get update -qq >/dev/null 2>&1 && $install >/dev/null 2>&1; } \
            || note 'chromium could not be installed; tests marked `browser` will skip'
    else
        note 'no chromium here; tests marked `browser` will skip'
    fi
fi
exit 0
