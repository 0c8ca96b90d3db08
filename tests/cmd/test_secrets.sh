#!/bin/bash
# symbi secrets: keys, sealing, editing, rotation, what is refused and that nothing is left in the clear.
# shellcheck source=tests/cmd/lib.sh
. "$(dirname "$0")/lib.sh"
unset CREDENTIALS_DIRECTORY SYMBIONT_MASTER_KEY SYMBIONT_MASTER_KEY_FILE
secrets() { expect "$1" secrets "${@:2}" --state "$state"; }
mkdir -p "$state"
printf 'api_key = hunter2\n' >"$dir/config"

secrets 1 encrypt --in "$dir/config" --out "$dir/config.enc"
has "$err" "SECRET_001 there is no master key"
[ ! -e "$state/master.key" ] || die "a key was made unasked"
[ ! -e "$dir/config.enc" ] || die "a file without a key"

secrets 0 keygen
same "$out" "$state/master.key"
same "$(stat -c %a "$state/master.key")" 600
key=$(cat "$state/master.key")
secrets 1 keygen
has "$err" "is there already"
same "$(cat "$state/master.key")" "$key"

secrets 0 encrypt --in "$dir/config" --out "$dir/config.enc"
same "$(stat -c %a "$dir/config.enc")" 600
! grep -q hunter2 "$dir/config.enc" || die "the secret is in the clear"
secrets 0 decrypt --in "$dir/config.enc"
same "$out" "api_key = hunter2"
secrets 0 decrypt --in "$dir/config.enc" --out "$dir/plain"
cmp "$dir/config" "$dir/plain"
same "$(stat -c %a "$dir/plain")" 600
secrets 0 info --file "$dir/config.enc"
has "$out" "name config
generation 1"
secrets 0 encrypt --in - --out - --name app/api_key </dev/null
secrets 1 decrypt --in "$dir/config.enc" --name other
has "$err" "this is the secret 'config', not 'other'"

# What is damaged stays closed, whatever byte it is.
size=$(stat -c %s "$dir/config.enc")
for at in 0 9 30 50 60 $((size / 2)) $((size - 1)); do
  cp "$dir/config.enc" "$dir/bad.enc"
  python3 -c 'import sys; f = open(sys.argv[1], "r+b"); n = int(sys.argv[2]); f.seek(n); c = f.read(1)[0]; f.seek(n); f.write(bytes([c ^ 1]))' "$dir/bad.enc" "$at"
  secrets 1 decrypt --in "$dir/bad.enc" --out "$dir/none"
  [ ! -e "$dir/none" ] || die "byte $at: something was written"
done

# edit: the editor's text goes back under the next generation; a failing one changes nothing; nothing stays in memory's files.
cat >"$dir/editor" <<'EOF'
#!/bin/sh
case $1 in /dev/shm/* | /run/*) ;; *) exit 1 ;; esac
grep -q hunter2 "$1" && sed -i s/hunter2/hunter3/ "$1" && cp "$1" "$1~"
EOF
chmod +x "$dir/editor"
unset VISUAL XDG_RUNTIME_DIR
EDITOR=$dir/editor secrets 0 edit --file "$dir/config.enc"
secrets 0 decrypt --in "$dir/config.enc"
same "$out" "api_key = hunter3"
secrets 0 info --file "$dir/config.enc"
has "$out" "generation 2"
! ls -d /dev/shm/symbi-edit-* /run/symbi-edit-* 2>/dev/null || die "left in the clear"
cp "$dir/config.enc" "$dir/before"
EDITOR=false secrets 1 edit --file "$dir/config.enc"
cmp "$dir/config.enc" "$dir/before"
EDITOR=true secrets 0 edit --file "$dir/config.enc"
cmp "$dir/config.enc" "$dir/before"

# rotate: the new key opens it and the old one does not.
secrets 0 keygen --out "$dir/new.key"
secrets 0 rotate --file "$dir/config.enc" --new-key "$dir/new.key"
secrets 1 decrypt --in "$dir/config.enc"
has "$err" "SECRET_001 '$dir/config.enc': it is sealed with the master key"
secrets 0 decrypt --in "$dir/config.enc" --key "$dir/new.key"
same "$out" "api_key = hunter3"
chmod 644 "$dir/new.key"
secrets 1 decrypt --in "$dir/config.enc" --key "$dir/new.key"
has "$err" "is open to others"

# a passphrase, by a descriptor
secrets 0 encrypt --in "$dir/config" --out "$dir/p.enc" --passphrase-fd 7 7<<<"correct horse"
secrets 0 decrypt --in "$dir/p.enc" --passphrase-fd 7 7<<<"correct horse"
same "$out" "api_key = hunter2"
secrets 1 decrypt --in "$dir/p.enc" --passphrase-fd 7 7<<<"correct house"
has "$err" "SECRET_001"
secrets 1 decrypt --in "$dir/p.enc" --passphrase-fd 7 7<<<"short"

# rotate without a file: the store of the tree, in the daemon and without one.
start
expect 0 write secrets/token hunter4
before=$(cat "$state/master.key")
secrets 0 rotate
[ "$(cat "$state/master.key")" != "$before" ] || die "it is the same key"
[ ! -e "$state/master.key.next" ] || die "the new key waits"
same "$(stat -c %a "$state/master.key")" 600
expect 0 cat secrets/token
same "$out" hunter4
has "$("$bin/symbi" cat events)" '"type":"secret.rewrapped"'
expect 0 down
before=$(cat "$state/master.key")
secrets 0 rotate
[ "$(cat "$state/master.key")" != "$before" ] || die "it is the same key"
chmod 600 "$dir/new.key"
secrets 0 rotate --new-key "$dir/new.key"
same "$(cat "$state/master.key")" "$(cat "$dir/new.key")"
# One that was cut off behind its first step goes on with the next start, and takes no second new key.
"$bin/symbi" secrets keygen --state "$state" --out "$state/master.key.next" >/dev/null
secrets 1 rotate --new-key "$dir/new.key"
has "$err" "was begun"
next=$(cat "$state/master.key.next")
start
settled() { [ ! -e "$state/master.key.next" ]; }
eventually settled
same "$(cat "$state/master.key")" "$next"
expect 0 cat secrets/token
same "$out" hunter4
expect 0 down
# A key from elsewhere is its keeper's to replace: both are read until it is.
mv "$state/master.key" "$dir/kept.key"
SYMBIONT_MASTER_KEY_FILE=$dir/kept.key secrets 0 rotate
has "$err" "put it where the old one comes from"
SYMBIONT_MASTER_KEY_FILE=$dir/kept.key start
expect 0 cat secrets/token
same "$out" hunter4
expect 0 down
cp "$state/master.key.next" "$dir/kept.key"
SYMBIONT_MASTER_KEY_FILE=$dir/kept.key start
eventually settled
expect 0 cat secrets/token
same "$out" hunter4
expect 0 down
! grep -rqaF hunter4 "$state" || die "the secret is in the clear"

quiet=1
secrets 2 encrypt --in "$dir/config"
secrets 2 seal
secrets 2 rotate --file "$dir/config.enc"
