#!/usr/bin/env bash
# Builds libhotlink_loader.so: LoaderEngine and the adapter, with the Swift runtime inside, and no other name exported
# than those of hotlink_loader.h. Loaded late itself, it may take only a little of the static TLS block.
#
#   usage: Benchmarks/adapter/build.sh [FOLDER]    where the library and its header go; default Benchmarks/.build/adapter
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
swift=${SWIFT:-swift}
scratch=$here/.build
out=${1:-$here/../.build/adapter}
mkdir -p "$out"

"$swift" build --package-path "$here" --scratch-path "$scratch" -c release --static-swift-stdlib \
  -Xcc -DHL_LOADED_LATE --product hotlink_loader
names=$(sed -nE 's/^[a-z].*[ *](hotlink_[a-z_]+)\(.*/\1/p' "$here/Sources/CHotlinkLoader/include/hotlink_loader.h")
{
  echo '{ global:'
  for name in $names; do echo "  $name;"; done
  echo 'local: *; };'
} > "$out/names.map"
# Its objects by name: the driver puts files before linker options, so that --whole-archive would come too late, and
# an archive has several members of one name.
modules=(CHotlinkLoader HotlinkLoader LoaderEngine CLoaderSupport SystemPackage CSystem)
folders=("${modules[@]/#/$scratch/release/}")
folders=("${folders[@]/%/.build}")
mapfile -t objects < <(find "${folders[@]}" -name '*.o' 2> /dev/null | sort)
"${swift}c" -emit-library -static-stdlib -o "$out/libhotlink_loader.so" "${objects[@]}" \
  -Xlinker --version-script="$out/names.map" -Xlinker -soname=libhotlink_loader.so \
  -Xlinker --gc-sections -Xlinker -z -Xlinker now -lelf -lZydis
cp "$here/Sources/CHotlinkLoader/include/hotlink_loader.h" "$out/"
echo "$out/libhotlink_loader.so"
