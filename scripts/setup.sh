#!/usr/bin/env bash
# Makes a bare Debian machine able to build HotLink, or to test it: installs the packages that are missing, checks
# that Swift is there. Says nothing and asks no server when there is nothing to do.
#
#   usage: scripts/setup.sh [build|test|test-all|bench]    test: what the tests need, too; test-all: and the long
#          ones; bench: what benchmarks are measured against
set -euo pipefail

build_packages=(libelf-dev libdw-dev libzydis-dev libinotifytools0-dev pkg-config gcc g++ make)
test_packages=(gdb binutils procps lld valgrind liblua5.4-dev libsqlite3-dev zlib1g-dev zlib1g libpng16-16
  libsqlite3-0 libxml2 libcurl4 libpython3.11 libicu72 libllvm14 libssl3 libgl1 libqt5core5a)
# Compilers of other languages, and archives that link whole. rustc comes by rustup: its tests say so when it is missing.
test_all_packages=(gfortran gnat gdc ldc tcc libssl-dev libpng-dev libjpeg62-turbo-dev libzstd-dev libxml2-dev
  libicu-dev liblzma-dev)
# Peers, and archives to measure with.
bench_packages=(lld binutils llvm-19-dev libsqlite3-dev liblua5.4-dev libssl-dev)
oldest_swift=6.2

case "${1:-build}" in
  build) wanted=("${build_packages[@]}") ;;
  test) wanted=("${build_packages[@]}" "${test_packages[@]}") ;;
  test-all) wanted=("${build_packages[@]}" "${test_packages[@]}" "${test_all_packages[@]}") ;;
  bench) wanted=("${build_packages[@]}" "${bench_packages[@]}") ;;
  *) echo "usage: $0 [build|test|test-all|bench]" >&2; exit 2 ;;
esac

say() { printf 'setup: %s\n' "$*" >&2; }
fail() { say "$@"; exit 1; }

# The packages of the list that are not installed, one a line.
missing() {
  local installed package
  installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "$@" 2>/dev/null || true)
  for package; do
    grep -qxF "installed $package" <<< "$installed" || echo "$package"
  done
}

# Runs a command without its output, unless it fails.
quietly() {
  local log status=0
  log=$(mktemp)
  "$@" > "$log" 2>&1 < /dev/null || status=$?
  [ $status -eq 0 ] || { say "failed ($status): $*"; tail -n 30 "$log" >&2; }
  rm -f "$log"
  return $status
}

install_packages() {
  local as_root=() apt=(env DEBIAN_FRONTEND=noninteractive apt-get -y -q
    -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300)
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo > /dev/null ||
      fail "packages are missing, and there is neither root nor sudo. As root: apt-get install $*"
    as_root=(sudo)
    sudo -n true 2> /dev/null || sudo -v || fail "sudo refused. As root: apt-get install $*"
  fi
  say "${as_root[*]:+${as_root[*]} }apt-get update"
  quietly "${as_root[@]}" "${apt[@]}" update || say "going on with the package lists that are there"
  say "${as_root[*]:+${as_root[*]} }apt-get install $*"
  quietly "${as_root[@]}" "${apt[@]}" install --no-install-recommends "$@"
}

check_swift() {
  local version
  command -v swift > /dev/null ||
    fail "no 'swift' in PATH. HotLink needs Swift $oldest_swift or later: https://www.swift.org/install/linux"
  version=$(swift --version 2> /dev/null | sed -nE 's/.*Swift version ([0-9]+(\.[0-9]+)*).*/\1/p' | head -n 1)
  [ -n "$version" ] || fail "'swift --version' fails ($(command -v swift)). Is the toolchain whole?"
  printf '%s\n%s\n' "$oldest_swift" "$version" | sort -V -C ||
    fail "Swift $version is too old ($(command -v swift)). HotLink needs $oldest_swift or later."
}

if command -v dpkg-query > /dev/null && command -v apt-get > /dev/null; then
  mapfile -t absent < <(missing "${wanted[@]}")
  if [ ${#absent[@]} -gt 0 ]; then install_packages "${absent[@]}"; fi
else
  say "no Debian here, so nothing is installed. What is needed, by its Debian names: ${wanted[*]}"
fi
check_swift
