# shellcheck shell=bash
# An engine for containers, and stand-ins for the two images that the Dockerfile begins with: for
# `tests/setup.sh container`, whose functions it uses.

readonly TEST_IMAGES=localhost/kafka-s3-sink-test

# Where no registry of images is to be had: what the two images of the Dockerfile hold, from Debian's
# packages. Without them the tests of the image are left out.
setup_container() {
  [ "$(family)" = debian ] || die "the images' stand-ins are made of Debian's packages, on Debian"
  if ! have podman || ! have buildah || ! have runc || ! have mmdebstrap; then
    install_packages "podman buildah runc mmdebstrap" ""
  fi
  as_root podman image exists $TEST_IMAGES/base || make_base_image
  as_root podman image exists $TEST_IMAGES/rust || make_rust_image
  # The mark by which the tests know that this was asked for.
  touch "${tools:?set by setup.sh}/container"
}

# As distroless makes base-nossl: packages unpacked, none of them set up; certificates; two users.
make_base_image() {
  local dir package home=home/nonroot
  say "making a base image"
  dir=$(mktemp -d)
  mkdir -p "$dir/debs" "$dir/root/$home" "$dir/root/etc/ssl/certs"
  for package in base-files netbase tzdata media-types libc6 ca-certificates; do
    (cd "$dir/debs" && fetch_package $package && dpkg -x ${package}_*.deb "$dir/root") >&2
  done
  find "$dir/root/usr/share/ca-certificates" -name '*.crt' | LC_ALL=C sort | xargs cat \
    >"$dir/root/etc/ssl/certs/ca-certificates.crt"
  rm -r "$dir/root/usr/share/ca-certificates"
  printf '%s\n' root:x:0:0:root:/:/sbin/nologin "nonroot:x:65532:65532:nonroot:/$home:/sbin/nologin" \
    >"$dir/root/etc/passwd"
  printf '%s\n' root:x:0: nonroot:x:65532: >"$dir/root/etc/group"
  tar -C "$dir/root" --owner=0 --group=0 -cf "$dir/base.tar" .
  as_root podman import -q "$dir/base.tar" $TEST_IMAGES/base >&2
  rm -r "$dir"
}

# What trusts whom is this machine's, for crates are fetched through it.
make_rust_image() {
  local dir container sysroot
  say "making an image with Rust (two minutes)"
  dir=$(mktemp -d)
  sysroot=$(rustc --print sysroot)
  as_root mmdebstrap -q --variant=minbase --include=ca-certificates,gcc,g++,make,pkg-config,perl,libc6-dev \
    bookworm "$dir/rust.tar" >&2
  container=$(as_root buildah from scratch)
  as_root buildah add -q "$container" "$dir/rust.tar" / >&2
  as_root buildah copy -q "$container" "$sysroot/bin/cargo" "$sysroot/bin/rustc" /usr/local/bin/ >&2
  as_root buildah copy -q "$container" "$sysroot/lib" /usr/local/lib/ >&2
  as_root buildah copy -q "$container" /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ >&2
  as_root buildah config --env CARGO_HOME=/usr/local/cargo "$container" >&2
  as_root buildah commit -q --rm "$container" $TEST_IMAGES/rust >&2
  rm -rf "$dir"
}
