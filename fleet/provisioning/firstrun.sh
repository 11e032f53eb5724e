#!/bin/sh
# Written by litelens image. systemd runs it once, before Raspberry Pi OS bookworm starts as usual, for what custom.toml
# cannot say: cmdline.txt names it, and systemd starts the machine anew when it has ended.
set -u
export LC_ALL=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin
BOOT=/boot/firmware

if [ -f $BOOT/litelens/first-boot.sh ] && ! said=$(sh $BOOT/litelens/first-boot.sh arm 2>&1); then
    echo "error: litelens cannot be installed at the next boot: $said" >>$BOOT/litelens-first-boot.log
fi
# Last: as long as cmdline.txt names this script, a power cut has it run again. Without those words the machine would not
# start as usual, so they go whatever happened above.
sed 's| systemd\.run=[^ ]*||; s| systemd\.run_success_action=[^ ]*||; s| systemd\.unit=[^ ]*||' \
    $BOOT/cmdline.txt >$BOOT/cmdline.new
sync $BOOT/cmdline.new
mv $BOOT/cmdline.new $BOOT/cmdline.txt
sync -f $BOOT
rm -f $BOOT/firstrun.sh
sync -f $BOOT
exit 0
