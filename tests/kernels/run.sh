#!/bin/bash
# Runs a selection of the tests on kernels of Debian in an emulated machine: run.sh amd64|arm64. See README.md.
set -euo pipefail

usage() {
  echo "usage: $0 amd64|arm64" >&2
  exit 2
}
[ $# -eq 1 ] || usage
arch=$1
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
build=${COW_KERNELS_BUILD:-$root/build/kernels}/$arch
selection=${COW_KERNELS_TESTS:-$(grep -v '^#' "$here/selection")}
programs=$(awk '{ print $1 }' <<< "$selection" | sort -u)

# As GNU, qemu and Debian call it, and packages of kernels: the one of Debian 12, and others that differ in what matters.
case $arch in
  amd64)
    gnu=x86_64-linux-gnu qemu=qemu-system-x86_64 packages="qemu-system-x86" console=ttyS0
    machine="-machine q35 -cpu max" kernels="linux-image-amd64"
    append="no_timer_check"  # which beside compilers takes the emulator's timer for broken
    ;;
  arm64)
    gnu=aarch64-linux-gnu qemu=qemu-system-aarch64 packages="qemu-system-arm g++-aarch64-linux-gnu" console=ttyAMA0
    machine="-machine virt -cpu cortex-a76" kernels="linux-image-arm64 linux-image-6.12-arm64-16k" append=""
    ;;
  *) usage ;;
esac
kernels=${COW_KERNELS:-$kernels}

say() { echo "== $*"; }
as_root() { if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi; }

install_what_it_needs() {
  local needed=(cmake ninja-build g++ pkg-config libboost-dev libgtest-dev cpio binutils $packages) missing=() name
  for name in "${needed[@]}"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2> /dev/null)" = installed ] || missing+=("$name")
  done
  [ ${#missing[@]} -eq 0 ] && return
  say "installs ${missing[*]}"
  as_root apt-get update -q
  DEBIAN_FRONTEND=noninteractive as_root apt-get install -y -q --no-install-recommends "${missing[@]}"
}

# apt of the other architecture, with a state of its own: nothing changes in what this machine knows or has installed.
apt_for_arch() {
  local tool=$1 state=$build/apt
  shift
  mkdir -p "$state/lists/partial" "$state/archives/partial"
  : > "$state/status"
  "$tool" -q -o APT::Architecture="$arch" -o APT::Architectures="$arch" -o APT::Sandbox::User= \
    -o Dir::State::lists="$state/lists" -o Dir::State::status="$state/status" \
    -o Dir::Cache::archives="$state/archives" -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= "$@"
}

# Unpacks a folder of a package, once. Sets `unpacked` to where it is.
unpack() {
  unpacked=$build/packages/$1
  [ -d "$unpacked" ] && return
  local fetched
  fetched=$(mktemp -d)
  (cd "$fetched" && apt_for_arch apt-get download "$1")
  mkdir -p "$unpacked.part"
  dpkg-deb --fsys-tarfile "$fetched"/*.deb | tar -x -C "$unpacked.part" "./$2"
  rm -rf "$fetched"
  mv "$unpacked.part" "$unpacked"
}

# The package that a package of no content of its own stands for.
real_kernel() { apt_for_arch apt-cache depends --important "$1" | awk '$2 ~ /^linux-image-/ { print $2; exit }'; }

build_tests() {
  local cross=() targets=() name
  if [ "$gnu" != "$(gcc -dumpmachine)" ]; then
    mkdir -p "$build"
    printf 'set(CMAKE_SYSTEM_NAME Linux)\nset(CMAKE_SYSTEM_PROCESSOR %s)\n' "${gnu%%-*}" > "$build/toolchain.cmake"
    printf 'set(CMAKE_%s_COMPILER %s)\n' C "$gnu-gcc" CXX "$gnu-g++" >> "$build/toolchain.cmake"
    cross=(-DCMAKE_TOOLCHAIN_FILE="$build/toolchain.cmake")
    cmake -S /usr/src/googletest -B "$build/gtest" -G Ninja "${cross[@]}" -DCMAKE_BUILD_TYPE=Release \
      -DBUILD_GMOCK=OFF -DCMAKE_INSTALL_PREFIX="$build/prefix" > /dev/null
    cmake --build "$build/gtest" --target install > /dev/null
    cross+=(-DCMAKE_PREFIX_PATH="$build/prefix")
  fi
  for name in $programs; do targets+=("test_$name"); done
  cmake -S "$root" -B "$build/cow" -G Ninja "${cross[@]}" -DCMAKE_BUILD_TYPE=Release -DCOW_WERROR=ON \
    -DCMAKE_CXX_FLAGS_RELEASE="-O2 -g0" -DCOW_WITH_LIBUNWIND=OFF -DCOW_BUILD_EXAMPLES=OFF > /dev/null
  cmake --build "$build/cow" --target "${targets[@]}"
}

# The libraries that programs of the architecture need, and those that these need, where the compiler for it finds them.
copy_libraries() {
  local into=$1 name from wanted found=()
  shift
  case $arch in
    amd64) mkdir -p "$into/lib64" && cp -L /lib64/ld-linux-x86-64.so.2 "$into/lib64/" ;;
    arm64) cp -L "$("$gnu-g++" -print-file-name=ld-linux-aarch64.so.1)" "$into/lib/" ;;
  esac
  wanted=("$@")
  while [ ${#wanted[@]} -gt 0 ]; do
    for name in $("$gnu-readelf" -d "${wanted[@]}" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | sort -u); do
      [ -e "$into/lib/$name" ] || [ -e "$into/lib64/$name" ] && continue
      from=$("$gnu-g++" -print-file-name="$name")
      cp -L "$from" "$into/lib/"
      found+=("$into/lib/$name")
    done
    wanted=("${found[@]}") found=()
  done
}

make_initramfs() {
  local tree=$build/tree name
  rm -rf "$tree"
  mkdir -p "$tree/bin" "$tree/lib" "$tree/tests" "$tree$build/cow/tests"
  unpack busybox-static bin
  cp "$unpacked/bin/busybox" "$tree/bin/"
  for name in $programs; do "$gnu-strip" -o "$tree/tests/test_$name" "$build/cow/tests/test_$name"; done
  copy_libraries "$tree" "$tree"/tests/test_*
  "$gnu-strip" -o "$tree$build/cow/tests/libcow_plugin.so" "$build/cow/tests/libcow_plugin.so"  # its path is compiled in
  cp "$here/init" "$tree/"
  cp "$here/one_test" "$tree/tests/"
  chmod +x "$tree/init" "$tree/tests/one_test"
  sed 's/^/test_/' <<< "$selection" > "$tree/tests/selection"
  echo "${COW_KERNELS_SECONDS_FOR_A_TEST:-150}" > "$tree/tests/seconds_for_a_test"
  (cd "$tree" && find . | cpio -o -H newc --quiet | gzip -1) > "$build/initramfs"
}

# Fails where a test failed, and where the machine did not come to the end.
boot() {
  local image=$1 log=$build/console.$2
  say "boots $2"
  timeout "${COW_KERNELS_SECONDS:-3600}" "$qemu" $machine -accel "${COW_KERNELS_ACCEL:-tcg,thread=multi}" \
    -smp 2 -m "${COW_KERNELS_MIB:-8192}" -display none -monitor none -nic none -no-reboot -serial stdio -kernel "$image" \
    -initrd "$build/initramfs" -append "console=$console quiet loglevel=3 panic=-1 $append ${COW_KERNELS_APPEND:-}" < /dev/null |
    sed -u 's/\r$//' | tee "$log" || true
  local end
  end=$(grep -E '^end: [0-9]+ passed, 0 failed' "$log") || return 1
  [ "$(awk '{ print $2 }' <<< "$end")" -gt 0 ]
}

install_what_it_needs
say "builds the tests for $arch"
build_tests
say "asks for the packages of Debian for $arch"
apt_for_arch apt-get update
make_initramfs
rm -f "$build"/console.*
failed=0
for kernel in $kernels; do
  real=$(real_kernel "$kernel")
  unpack "${real:-$kernel}" boot
  boot "$unpacked"/boot/vmlinuz-* "${real:-$kernel}" || { failed=1 && say "FAILED on ${real:-$kernel}"; }
done
for log in "$build"/console.*; do grep -hE '^(kernel|end:) ' "$log" || true; done
exit "$failed"
