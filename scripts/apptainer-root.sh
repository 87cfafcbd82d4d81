#!/usr/bin/env bash
# Makes in the folder $1 the root file system of a newer Debian with Apptainer, which Debian 12 has no package of: the tests
# of ranks in real containers run it from there. It comes from Debian unstable, whose packages change: where it cannot be
# brought this says so and makes nothing, and those tests are skipped.
set -euo pipefail

folder=$1
# apptainer calls a shell and cp as it makes an image of a folder.
packages=(apptainer squashfs-tools coreutils dash)
[ "$(cat "$folder/.complete" 2>/dev/null)" != "${packages[*]}" ] || exit 0
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
# apt drops its rights for downloads, and then has to be able to write here.
chmod 755 "$scratch"
mkdir -p "$scratch/state/lists/partial" "$scratch/cache/archives/partial"
# From where this machine has Debian itself.
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Identifier: Packages' 'Label: Debian' 'Component: main' | head -n 1)
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] ${mirror:-none} unstable main" >"$scratch/sources.list"

# apt in that folder, for a system where nothing is installed: nothing of this machine's own is looked at or changed.
unstable() {
  apt-get -qq -o Dir::Etc::SourceList="$scratch/sources.list" -o Dir::Etc::SourceParts=/dev/null \
    -o Dir::State="$scratch/state" -o Dir::State::status=/dev/null -o Dir::Cache="$scratch/cache" \
    -o Acquire::Languages=none "$@"
}

if ! { unstable update && unstable install --yes --download-only --no-install-recommends "${packages[@]}"; } \
  >"$scratch/log" 2>&1; then
  tail -n 3 "$scratch/log" >&2
  echo "Apptainer cannot be brought from Debian unstable: tests in its containers are skipped" >&2
  exit 0
fi
rm -rf "$folder"
for name in bin sbin lib lib64; do
  mkdir -p "$folder/usr/$name"
  ln -s "usr/$name" "$folder/$name"
done
for package in "$scratch"/cache/archives/*.deb; do dpkg-deb -x "$package" "$folder"; done
# Each of these is taken from the host as a container starts.
touch "$folder/etc/resolv.conf" "$folder/etc/hosts" "$folder/etc/localtime"
echo "root:x:0:0:root:/root:/bin/sh" >"$folder/etc/passwd"
echo "root:x:0:" >"$folder/etc/group"
mkdir -p "$folder/mnt" "$folder/var/tmp"
# A root that itself does not have all capabilities cannot ask for them.
sed -i 's/^root default capabilities = .*/root default capabilities = no/' "$folder/etc/apptainer/apptainer.conf"
echo "${packages[*]}" >"$folder/.complete"
