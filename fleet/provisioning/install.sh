#!/bin/sh
# Makes this machine a litelens device, as the files beside this one say. Run by root, from any folder:
#     sh install.sh
# It may be cut at any instant and run again: it goes on, and does nothing where all is so already. What ran before goes on
# running until the new is proven; if that fails, what ran before is back. Lines on standard output say what was done;
# "error:" and "hint:" on standard error, with status 1, why it could not be.
set -eu
umask 022
export LC_ALL=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin
unset PYTHONPATH PYTHONHOME PYTHONSTARTUP VIRTUAL_ENV

OPT=/opt/litelens
VENV=$OPT/venv
BEFORE=$OPT/before
STORE=/srv/litelens/store
GROUP=litelens_store
ETC=/etc/litelens
UNIT=/etc/systemd/system/litelens.service
COMMAND=/usr/local/bin/litelens
PYTHON=/usr/bin/python3

cd "$(dirname "$0")"
changed='' failed='' status=0
# Whatever else ends it: a full disk, a tool that fails and has said why.
trap 'status=$?; [ $status = 0 ] || [ -n "$failed" ] || fail "it stopped there, with status $status" \
    "see what it said before; make room or mend it, and run the same command again"' EXIT

say() { printf '%s\n' "$*"; }

did() {
    changed=yes
    say "$*"
}

fail() {
    failed=yes
    printf 'error: %s\nhint: %s\n' "$1" "$2" >&2
    exit 1
}

# The value of KEY=value, any text in a line; no shell ever reads it.
setting() { sed -n "s/^$1=//p" settings | head -n 1 | tr -d '\r'; }

check_machine() {
    [ "$(id -u)" = 0 ] || fail "installing needs root's rights" "sudo sh $0"
    [ -f settings ] || fail "the file settings is not beside install.sh" "provision again: litelens provision user@host"
    [ "$(uname -s)" = Linux ] || fail "this is $(uname -s), expected Linux" "use Raspberry Pi OS, or another Debian"
    [ -d /run/systemd/system ] || fail "this machine was not started by systemd" "use Raspberry Pi OS, or another Debian"
    [ -x "$PYTHON" ] || fail "there is no $PYTHON" "apt-get install python3-venv"
    "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        fail "Python here is $("$PYTHON" -V 2>&1), expected 3.11 or later" "use Raspberry Pi OS bookworm or later"
    "$PYTHON" -c 'import ensurepip, venv; ensurepip.version()' 2>/dev/null ||
        fail "$PYTHON has no venv and ensurepip" "apt-get install python3-venv"
}

check_target() {
    # A 64-bit kernel may run a 32-bit system, whose Python takes 32-bit wheels.
    machine=$("$PYTHON" -c 'import platform, sys
print("armv7l" if platform.machine() == "aarch64" and sys.maxsize < 2**32 else platform.machine())')
    python=$("$PYTHON" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    wanted="Python $(setting python) on $(setting machine)"
    [ "$wanted" = "Python $python on $machine" ] ||
        fail "this is Python $python on $machine, and what was brought is for $wanted" \
            "bring what is made for it: litelens provision user@host, or litelens image for another card"
}

# One installation at a time; the lock ends with this process and what it has started.
take_turn() {
    exec 9>/run/litelens-install.lock
    flock -n 9 && return
    say "waiting: another installation is under way"
    flock -w 1200 9 || fail "another installation is still under way" "see what it does: ps -ef | grep install.sh"
}

check_disk() {
    free_kib=$(df -Pk "$OPT" | awk 'NR == 2 { print $4 }')
    [ "$free_kib" -ge "$(setting need_kib)" ] ||
        fail "$OPT has $((free_kib / 1024)) MiB left, expected $(($(setting need_kib) / 1024)) MiB" \
            "make room, df -h shows the disks, and run the same command again"
}

# An environment of its own, so that the one in use stays as it is. Debian's own packages are seen in it: picamera2.
make_environment() {
    [ -f "$new/complete" ] && return
    [ -L "$VENV" ] || [ ! -e "$VENV" ] ||
        fail "$VENV is in the way: it was not made by litelens provision" "mv $VENV $VENV-by-hand"
    rm -rf "$new"
    check_disk
    did "environment: making $new"
    "$PYTHON" -m venv --system-site-packages "$new"
    install_wheels
    # The path that stays over upgrades: services name the Python that has started `litelens service install`.
    sed -i "1s|.*|#!$VENV/bin/python|" "$new/bin/litelens"
    try_environment
    # On the disk before it counts as whole.
    sync -f "$new"
    touch "$new/complete"
    sync -f "$new"
}

# --ignore-installed: what Debian has may go with its next upgrade.
install_wheels() {
    if [ "$(setting online)" = yes ]; then
        say "environment: installing what litelens needs, from the index"
        pip -r requirements.txt
        pip --isolated --no-index --no-deps wheels/litelens-*.whl
    else
        say "environment: installing $(find wheels -name '*.whl' | wc -l) wheels"
        pip --isolated --no-index --no-deps --find-links wheels -r requirements.txt
    fi
}

pip() {
    said=$("$new/bin/python" -m pip install --quiet --no-input --disable-pip-version-check --ignore-installed "$@" 2>&1) ||
        fail "pip could not install litelens: $(printf %s "$said" | tail -n 3 | cut -c 1-400 | tr '\n' ' ')" \
            "make room or see to the network, and run the same command again"
}

try_environment() {
    tiny=$("$new/bin/python" -I -c 'from litelens.doctor.software import MODEL; print(MODEL)') ||
        unfit "litelens cannot be imported"
    answers "$tiny"
    for current in "$STORE"/*/current; do
        [ ! -f "$current" ] || answers "$current"
    done
    say "environment: $("$new/bin/python" -I -m litelens --version | sed 's/.*litelens, version/litelens/'), its self-test is passed"
}

answers() {
    said=$("$new/bin/python" -I -m litelens verify "$1" 2>&1) || unfit "$(printf %s "$said" | tail -n 2 | tr '\n' ' ')"
}

unfit() {
    rm -rf "$new"
    fail "the new litelens does not work here, nothing has changed: $1" "litelens doctor says more of this machine"
}

make_store() {
    getent group $GROUP >/dev/null || groupadd --system $GROUP
    if [ "$(stat -c '%G %a' "$STORE/.updates" 2>/dev/null)" != "$GROUP 2775" ]; then
        install -d -m 755 "${STORE%/*}"
        install -d -m 2775 -g $GROUP "$STORE" "$STORE/.updates"
        did "store: made $STORE for the group $GROUP"
    fi
    [ -n "$user" ] || return 0
    case " $(id -nG -- "$user") " in
    *" $GROUP "*) ;;
    *)
        usermod --append --groups $GROUP "$user"
        did "store: $user may write there, from the next login on"
        ;;
    esac
}

install_model() {
    [ -n "$model" ] && [ ! -L "$STORE/$model/current" ] || return 0
    say "store: trying $model"
    said=$("$new/bin/python" -I -m litelens store install "$STORE" "$model" "$model.tflite" --why "litelens provision" 2>&1) ||
        fail "$(told error)" "$(told hint)"
    did "store: $(printf %s "$said" | tail -n 1)"
}

# Of what litelens said: the rest of its line "error: ..." or "hint: ...".
told() { printf %s "$said" | sed -n "s/^$1: //p" | tail -n 1; }

# What is in use is kept until the new is proven. A run that was cut has kept it already, and services may be on either.
remember() {
    if [ -d $BEFORE ]; then
        switched=yes configured=yes changed=yes
        return
    fi
    rm -rf $BEFORE.new
    mkdir -m 700 $BEFORE.new
    [ ! -L $VENV ] || readlink $VENV >$BEFORE.new/venv
    ! systemctl --quiet is-active litelens || cp -p $UNIT $BEFORE.new/unit
    for file in run.toml brought.toml root.json; do
        [ ! -f $ETC/$file ] || cp -p $ETC/$file $BEFORE.new/
    done
    sync -f $BEFORE.new
    mv $BEFORE.new $BEFORE
}

# After a failure: takes back what was changed, where something ran before.
go_back() {
    [ -f $BEFORE/venv ] || return 0
    lead "$(cat $BEFORE/venv)"
    if [ -f $BEFORE/unit ]; then
        cp -p $BEFORE/unit $UNIT
        for file in run.toml brought.toml root.json; do
            if [ -f $BEFORE/$file ]; then cp -p $BEFORE/$file $ETC/; else rm -f "${ETC:?}/$file"; fi
        done
        systemctl daemon-reload
        systemctl restart litelens || say "service: litelens does not start with what ran before, either"
    fi
    for unit in $(units); do
        systemctl try-restart "$unit" || true
    done
    say "service: what ran before is back"
}

# Has the link lead to another environment, in one instant.
lead() {
    ln -sfn "$1" $VENV.next
    mv -T $VENV.next $VENV
    sync -f $OPT
}

switch_environment() {
    [ "$(readlink $VENV)" != "$environment" ] || return 0
    lead "$environment"
    switched=yes
    did "environment: $VENV -> $environment"
}

link_command() {
    [ "$(readlink $COMMAND)" != "$VENV/bin/litelens" ] || return 0
    if [ -e $COMMAND ] || [ -L $COMMAND ]; then
        say "command: $COMMAND is another's and stays; this one is $VENV/bin/litelens"
        return
    fi
    install -d "${COMMAND%/*}"
    ln -s $VENV/bin/litelens $COMMAND
    did "command: $COMMAND"
}

# The file as it was brought is kept beside: only if it differs from the last one brought does it replace what is used,
# which a person may have changed since.
write_config() {
    [ -f run.toml ] || return 0
    install -d -m 755 $ETC
    if [ -f root.json ] && ! cmp -s root.json $ETC/root.json; then
        put root.json 644 root.json
        did "service: wrote $ETC/root.json, which decides whom it follows"
    fi
    cmp -s run.toml $ETC/brought.toml && [ -f $ETC/run.toml ] && return
    [ ! -f $ETC/run.toml ] || cp -p $ETC/run.toml $ETC/run.toml.old
    put run.toml 600 run.toml
    put run.toml 600 brought.toml
    configured=yes
    did "service: wrote $ETC/run.toml"
}

put() {
    install -m "$2" "$1" $ETC/.new
    sync $ETC/.new
    mv -T $ETC/.new "$ETC/$3"
}

# The services that litelens has installed with this environment's Python, but for the one that is installed here.
units() {
    for path in /etc/systemd/system/litelens*.service; do
        [ "$path" != $UNIT ] || [ -z "$service" ] || continue
        ! grep -qs "$VENV/bin/python" "$path" || printf '%s\n' "${path##*/}"
    done
}

restart_others() {
    [ -n "$switched" ] || return 0
    for unit in $(units); do
        systemctl try-restart "$unit" || undo "$unit does not start with the new litelens"
        did "service: $unit runs with the new litelens"
    done
}

install_service() {
    [ -n "$service" ] || return 0
    set -- "$STORE/$model/current"
    [ -z "$user" ] || set -- "$@" --user "$user"
    set -- "$@" -- --config $ETC/run.toml
    if [ -z "$switched$configured" ] && systemctl --quiet is-active litelens &&
        $VENV/bin/litelens service install --print "$@" | cmp -s - $UNIT; then
        return 0
    fi
    say "service: starting"
    said=$($VENV/bin/litelens service install "$@" 2>&1) || undo "$(told error)" "$(told hint)"
    did "service: litelens runs $STORE/$model/current, now and after every boot"
}

undo() {
    go_back
    rm -rf $BEFORE
    fail "$1" "${2:-read its log: journalctl -u litelens}"
}

look_around() { $VENV/bin/litelens doctor 2>/dev/null | sed -En '/^(warn|fail)/,/fix:/s/^/doctor: /p' || true; }

clean_up() {
    rm -rf $BEFORE
    for old in "$OPT"/venv-*; do
        [ "$old" = "$new" ] || rm -rf "$old"
    done
}

check_machine
check_target
take_turn
environment=$(setting environment)
new=$OPT/$environment
model=$(setting model)
service=$(setting service)
switched='' configured=''
# Whose device it is: named, or who came by sudo; root needs no more.
user=$(setting user)
user=${user:-${SUDO_USER:-}}
[ "$user" != root ] || user=
case $model in *[!A-Za-z0-9._+-]* | [._+-]*) fail "$model is no name of a model" "provision again" ;; esac
[ -z "$user" ] || id -u -- "$user" >/dev/null 2>&1 || fail "there is no user $user here" "sudo adduser $user"
install -d -m 755 $OPT

make_environment
make_store
install_model
remember
switch_environment
link_command
write_config
restart_others
install_service
if [ -n "$changed" ]; then
    look_around
    clean_up
    say "done: litelens $(setting version)"
else
    clean_up
    say "litelens $(setting version) is there already, nothing has changed"
fi
