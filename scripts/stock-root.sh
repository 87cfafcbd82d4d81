#!/usr/bin/env bash
# Makes the root file system of a stock Debian node in the folder $1: what the agent finds where there is no Swift.
set -euo pipefail

folder=$1
[ ! -e "$folder/.complete" ] || exit 0
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
rm -rf "$folder"
mkdir -p "$folder"
# apt drops its rights for downloads, and then has to be able to write here.
chmod 777 "$scratch"
download() { (cd "$scratch" && apt-get -qq download "$@"); }
packages=(libc6 libgcc-s1 libstdc++6 base-files bash coreutils libtinfo6)
# The list of packages may be missing or old.
download "${packages[@]}" || { apt-get -qq update && download "${packages[@]}"; }
for package in "$scratch"/*.deb; do dpkg-deb -x "$package" "$folder"; done
mkdir -p "$folder/proc" "$folder/tmp" "$folder/dev"
touch "$folder/.complete"
