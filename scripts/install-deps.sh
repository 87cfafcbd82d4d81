#!/usr/bin/env bash
# Installs the Debian packages that Baton is built with, runs on and is tested with; says nothing when all are there.
# With `frameworks` also what programs of some tests are written for: another 170 MB to fetch, 700 MB on the disk.
set -euo pipefail

packages=(
  pkg-config libpq-dev libssh2-1-dev libopenblas-dev # C libraries
  postgresql postgresql-contrib                      # the lab's and the tests' private clusters
  openssh-server openssh-client util-linux e2fsprogs # the lab's nodes
  python3 python3-pip unzip                          # the demo's data
  python3-venv                                       # the servers that object storage is tested with
  chromium chromium-driver python3-selenium          # the tests of the dashboard
)
[ "${1:-}" != frameworks ] || packages+=(python3-torch openmpi-bin python3-mpi4py podman crun catatonit)

missing=()
for package in "${packages[@]}"; do
  status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$status" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || {
    echo "these packages are missing, and installing them needs root: ${missing[*]}" >&2
    exit 77
  }
  as_root=(sudo)
fi
echo "installing ${missing[*]}"
# The lab starts clusters of its own: the package is not to create and start one for the system.
if [[ " ${missing[*]} " == *" postgresql "* ]] && [ ! -e /etc/postgresql-common/createcluster.conf ]; then
  "${as_root[@]}" mkdir -p /etc/postgresql-common
  echo "create_main_cluster = false" | "${as_root[@]}" tee /etc/postgresql-common/createcluster.conf >/dev/null
fi
# Nor is a server of the system to listen on port 22 from now on, which nobody asked for: its unit and init script heed this file.
if [[ " ${missing[*]} " == *" openssh-server "* ]] && [ ! -e /etc/ssh/sshd_config ]; then
  "${as_root[@]}" mkdir -p /etc/ssh
  "${as_root[@]}" touch /etc/ssh/sshd_not_to_be_run
  echo "the system's own sshd stays off: remove /etc/ssh/sshd_not_to_be_run if it is to run"
fi
"${as_root[@]}" apt-get -qq update
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "${missing[@]}" >/dev/null
