#!/usr/bin/env bash
# qemu.sh ARCH COMMAND...: runs a command where programs for this processor (aarch64 or arm) start by themselves, those
# too that the command starts.
#
# Linux 6.7 or later lets a user namespace have its own table of interpreters, so nothing is left on the machine. The
# namespace has a network of its own as well, with a loopback. QEMU_LIBS names a folder of more shared libraries.
set -euo pipefail
arch=$1
shift
case $arch in
    aarch64) class='\x02' machine='\xb7' prefix=/usr/aarch64-linux-gnu ;;
    arm) class='\x01' machine='\x28' prefix=/usr/arm-linux-gnueabihf ;;
    *) echo "qemu.sh: no processor $arch" >&2 && exit 2 ;;
esac
export QEMU_LD_PREFIX=$prefix
if [ -n "${QEMU_LIBS:-}" ]; then export QEMU_SET_ENV=LD_LIBRARY_PATH=$QEMU_LIBS; fi
# The machine does so already, if its packages have set that up.
if [ -e "/proc/sys/fs/binfmt_misc/qemu-$arch" ]; then exec "$@"; fi
# The first 20 bytes of an ELF file: class, little-endian, version, any system, an executable or a library, machine.
magic="\\x7fELF$class\\x01\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x02\\x00$machine\\x00"
mask='\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff'
export REGISTRATION=":qemu-$arch:M::$magic:$mask:$(command -v "qemu-$arch-static"):F"
# shellcheck disable=SC2016 # expanded in the namespace
exec unshare --user --map-root-user --mount --net bash -c '
    mount -t binfmt_misc none /proc/sys/fs/binfmt_misc &&
        printf %s "$REGISTRATION" >/proc/sys/fs/binfmt_misc/register && ip link set lo up ||
        { echo "qemu.sh: interpreters cannot be registered in a user namespace; Linux 6.7 or later can; else register them on the machine itself" >&2; exit 2; }
    unset REGISTRATION
    exec "$@"' bash "$@"
