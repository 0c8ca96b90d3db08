#!/bin/bash
# symbi sandbox image build: makes the image of a kernel that is found, and refuses what is none. The kernel is that of the
# machine, or of $TEST_KERNEL_ROOT, a directory in which a kernel's package was taken apart. 77 where there is none.
# shellcheck source=tests/cmd/lib.sh
. "$(dirname "$0")/../cmd/lib.sh"
image=$SYMBI_VM_IMAGE

mkdir -p "$dir/empty"
expect 1 sandbox image build --from "$dir/empty"
has "$err" "there is no kernel with its modules"
[ ! -e "$image/image" ] || [ -n "$(cat "$image/image")" ] || die "a failed build left an image"
expect 2 sandbox image
expect 2 sandbox image show
expect 2 sandbox image build --accel fast
expect 2 sandbox image build more
mkdir -p "$dir/bad/boot" "$dir/bad/lib/modules/9"
head -c 8192 /dev/zero >"$dir/bad/boot/vmlinuz-9"
expect 1 sandbox image build --from "$dir/bad" --to "$dir/image"
has "$err" "is no kernel"
[ ! -e "$dir/image/image" ] || die "there is an image of no kernel"

symbi sandbox image build --from "${TEST_KERNEL_ROOT:-/}"
[ "$status" = 0 ] || { echo "skipped: no image of a kernel: $err"; exit 77; }
has "$out" "image $image"
for file in vmlinux initrd image; do
  [ "$(stat -c %a "$image/$file")" = 644 ] || die "$file can be written, or not be read"
done
same "$(head -c 4 "$image/vmlinux" | od -An -tx1 | tr -d ' ')" 7f454c46
for name in init modules/9p.ko modules/list; do
  grep -aqF "$name" "$image/initrd" || die "the initramfs has no $name"
done
