#!/usr/bin/env bash
# Makes the root file system of a stock Debian node in the folder $1: what the agent finds where there is no Swift.
set -euo pipefail

folder=$1
# Each of these is on every Debian and Ubuntu: dpkg and apt need them.
packages=(libc6 libgcc-s1 libstdc++6 zlib1g base-files bash coreutils libtinfo6 libselinux1 libpcre2-8-0 libacl1 libattr1)
[ "$(cat "$folder/.complete" 2>/dev/null)" != "${packages[*]}" ] || exit 0
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
rm -rf "$folder"
mkdir -p "$folder"
# apt drops its rights for downloads, and then has to be able to write here.
chmod 777 "$scratch"
download() { (cd "$scratch" && apt-get -qq download "$@"); }
# The list of packages may be missing or old.
download "${packages[@]}" || { apt-get -qq update && download "${packages[@]}"; }
for package in "$scratch"/*.deb; do dpkg-deb -x "$package" "$folder"; done
mkdir -p "$folder/proc" "$folder/tmp" "$folder/dev"
echo "${packages[*]}" >"$folder/.complete"
