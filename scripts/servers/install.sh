#!/usr/bin/env bash
# Puts the servers that the tests of object storage talk to into a virtual environment of their own: install.sh FOLDER.
# Says nothing when they are there; FOLDER/venv/.installed holds the checksum of the pins that it was made from.
set -euo pipefail

folder=${1:?say which folder, as in .build/servers}
pins="$(dirname "$0")/requirements.txt"
wanted=$(sha256sum <"$pins")
stamp=$folder/venv/.installed
[ ! -e "$stamp" ] || [ "$(cat "$stamp")" != "$wanted" ] || exit 0

echo "installing OpenStack Swift and Keystone into $folder/venv"
mkdir -p "$folder"
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check -r "$pins"
echo "$wanted" >"$stamp"
