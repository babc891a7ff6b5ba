# shellcheck shell=bash
# The small machine that tests boot: for `tests/setup.sh machine`, whose functions it uses.
# shellcheck disable=SC2154 # tools is setup.sh's

# The root of a small machine that tests boot (systemd-nspawn), to run what deploy/ installs. Without
# it those tests are left out. Nothing is ever written to it.
setup_machine() {
  local packages=systemd,systemd-sysv,dbus,openjdk-17-jre-headless,curl,gpg,iproute2,ca-certificates
  # What an instance of Amazon Linux has beyond that.
  packages=$packages,procps,xfsprogs,chrony,rpm
  [ "$(family)" = debian ] || die "the small machine is made of Debian's packages, on Debian"
  if ! have systemd-nspawn || ! have mmdebstrap || ! have gpg; then
    install_packages "systemd-container mmdebstrap gpg" ""
  fi
  [ -e "$tools/machine/usr/bin/rpm" ] && [ -e "$tools/machine/usr/bin/chronyc" ] &&
    [ -e "$tools/machine/usr/bin/kill" ] && return
  say "making the root of a small machine"
  as_root rm -rf "$tools/machine.partial" "$tools/machine"
  as_root mmdebstrap -q --variant=minbase --include="$packages" bookworm "$tools/machine.partial" >&2
  as_root mv "$tools/machine.partial" "$tools/machine"
}
