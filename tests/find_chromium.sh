#!/bin/sh
# Succeed when a Chromium or Chrome for the browser tests is here; otherwise say how to get one.
for name in chromium chromium-browser google-chrome google-chrome-stable chrome; do
    command -v "$name" >/dev/null 2>&1 && exit 0
done
[ -x "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome" ] && exit 0
[ -x "/Applications/Chromium.app/Contents/MacOS/Chromium" ] && exit 0
cat >&2 <<'MESSAGE'
The browser tests need Chromium or Chrome, and none was found.
  Debian            sudo apt-get install chromium chromium-driver
  Ubuntu            sudo snap install chromium, or Chrome from https://www.google.com/chrome/
  Fedora            sudo dnf install chromium chromedriver
  macOS             brew install --cask google-chrome
`make check` runs the tests that need no browser.
MESSAGE
exit 1
