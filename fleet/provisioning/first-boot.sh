#!/bin/sh
# Written by litelens image. Makes a new Raspberry Pi a litelens device, once:
#     first-boot.sh arm     has systemd call `run` at the next boot and at each one after it
#     first-boot.sh start   the same, and now
#     first-boot.sh run     installs what lies on the card; after that nothing of this is left but its log
# The power may be cut at any instant: the next boot goes on. Nothing is asked, and no network is needed.
set -eu
umask 022
export LC_ALL=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin

BOOT=/boot/firmware
BUNDLE=$BOOT/litelens
LOG=$BOOT/litelens-first-boot.log
STATE=/var/lib/litelens-first-boot
UNITS=/etc/systemd/system
UNIT=litelens-first-boot.service

arm() {
    [ -f $BUNDLE/install.sh ] || return 0
    # What a power cut in the last moment of an earlier installation has left says nothing of this one.
    [ -f $UNITS/$UNIT ] || rm -rf $STATE
    mkdir -p $STATE $UNITS/multi-user.target.wants
    put $STATE/first-boot.sh <$BUNDLE/first-boot.sh
    unit | put $UNITS/$UNIT
    ln -sfn ../$UNIT $UNITS/multi-user.target.wants/$UNIT
    sync -f $UNITS
}

# A copy of this script is run, and this unit is there until the very end: the card's files may be half gone by then.
unit() {
    cat <<END
# Written by litelens image; it removes itself once it has succeeded.
[Unit]
Description=litelens: first boot
# The user is made by then, where cloud-init makes it.
After=cloud-config.target
RequiresMountsFor=$BOOT
StartLimitIntervalSec=1h
StartLimitBurst=20

[Service]
# Not oneshot: the rest of the boot, ssh among it, would wait minutes for its end.
Type=exec
ExecStart=/bin/sh $STATE/first-boot.sh run
Restart=on-failure
RestartSec=60

[Install]
WantedBy=multi-user.target
END
}

start() {
    [ -f $BUNDLE/install.sh ] || return 0
    arm
    systemctl daemon-reload
    systemctl start --no-block $UNIT
}

run() {
    if [ ! -f $STATE/installed ]; then
        # The log is on the card, where a workstation can read it. Its success is a file: a shell without bash's pipefail
        # knows only how tee ended.
        { sh $BUNDLE/install.sh 2>&1 && : >$STATE/installed || true; } | tee $LOG || true
        [ -f $STATE/installed ] || exit 1
        sync -f $STATE
    fi
    forget_secrets
    echo "first boot: done" >>$LOG
    rm -rf $BUNDLE $BOOT/firstrun.sh
    sync -f $BOOT
    rm -f $UNITS/multi-user.target.wants/$UNIT $UNITS/$UNIT
    sync -f $UNITS
    rm -rf $STATE
    systemctl daemon-reload
}

# Every user of the machine can read the card's boot partition. cloud-init reads these files at each boot, and does
# nothing by them but at the first.
forget_secrets() {
    for file in user-data network-config; do
        [ ! -f "$BUNDLE/$file.later" ] || put "$BOOT/$file" <"$BUNDLE/$file.later"
    done
}

# Standard input becomes a file: the whole of it, or the file stays as it was.
put() {
    cat >"$1.new"
    sync "$1.new"
    mv "$1.new" "$1"
    sync -f "$1"
}

# In one go, so that all of it is read before it removes itself.
case ${1-} in
arm) arm; exit ;;
start) start; exit ;;
run) run; exit ;;
*) echo "first-boot.sh arm, start or run" >&2; exit 2 ;;
esac
