#!/usr/bin/env bash
# Puts what tests need from the Python Package Index into virtual environments: install.sh FOLDER [NAME...] makes
# FOLDER/NAME of each NAME.txt beside this script (of all of them without a name). It is over Debian's own Python, whose
# packages it sees, and says nothing where nothing is to do; FOLDER/NAME/.installed holds the checksum of the pins.
set -euo pipefail

folder=${1:?say which folder, as in .build/python}
shift
here=$(cd "$(dirname "$0")" && pwd)
names=("$@")
[ ${#names[@]} -gt 0 ] || for pins in "$here"/*.txt; do [ ! -e "$pins" ] || names+=("$(basename "$pins" .txt)"); done
for name in "${names[@]}"; do
  wanted=$(sha256sum <"$here/$name.txt")
  stamp=$folder/$name/.installed
  [ ! -e "$stamp" ] || [ "$(cat "$stamp")" != "$wanted" ] || continue
  echo "installing $name into $folder/$name"
  mkdir -p "$folder"
  /usr/bin/python3 -m venv --clear --system-site-packages "$folder/$name"
  "$folder/$name/bin/pip" install --quiet --disable-pip-version-check -r "$here/$name.txt"
  echo "$wanted" >"$stamp"
done
