#!/bin/busybox sh
# The whole user space of virtgate's small guest, as its first process. Kernel arguments it knows:
#   virtgate.hostname=NAME  the name it greets with; without, the one in its cloud-init seed
#   virtgate.deaf=1         ignores the power button
#   virtgate.run=a+b;c      shell commands with + in place of blanks, run once it is up
/bin/busybox --install -s /bin
export PATH=/bin HOME=/root TERM=vt100
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /run /tmp /root /mnt /seed /etc/acpi/PWRF
mount -t devpts pts /dev/pts

while read -r module; do insmod "/lib/modules/$module.ko"; done </etc/modules.boot

argument() {
  for word in $(cat /proc/cmdline); do
    case $word in "$1="*) echo "${word#*=}" ;; esac
  done | tail -n 1
}

# A cloud-init seed: an ISO 9660 or FAT image labelled as NoCloud or as config drive.
for label in cidata CIDATA config-2; do
  device=$(findfs "LABEL=$label" 2>/dev/null) || continue
  modprobe -q isofs; modprobe -q vfat
  mount -o ro -t iso9660 "$device" /seed 2>/dev/null || mount -o ro -t vfat "$device" /seed || continue
  for data in /seed/user-data /seed/openstack/latest/user_data; do
    [ -f "$data" ] || continue
    echo "virtgate-guest: seed $label on $device, user-data sha256 $(sha256sum <"$data" | cut -d' ' -f1)"
    cp "$data" /run/user-data
  done
  meta=$(cat /seed/meta-data /seed/openstack/latest/meta_data.json 2>/dev/null)
  seed_name=$(echo "$meta" | sed -n 's/.*"\(local-\)\{0,1\}hostname": *"\([^"]*\)".*/\2/p' | head -n 1)
  umount /seed
  break
done

name=$(argument virtgate.hostname)
hostname "${name:-${seed_name:-virtgate}}"
# Readers of the console look for whole lines; kernel messages below "warning" would land in the middle of them.
echo 4 >/proc/sys/kernel/printk

cat >/etc/acpi/PWRF/00000080 <<'ACTION'
#!/bin/sh
echo 'virtgate-guest: powering off' >/dev/console
sync
poweroff -f
ACTION
chmod 755 /etc/acpi/PWRF/00000080
[ "$(argument virtgate.deaf)" = 1 ] || acpid -d -c /etc/acpi >/run/acpid.log 2>&1 &

mkdir -p /run/www
echo "Hello from virtgate guest $(hostname)" >/run/www/index.html
ip link set lo up
for card in /sys/class/net/e*; do
  [ -e "$card" ] || continue
  udhcpc -i "${card##*/}" -t 20 -T 1 -S -s /etc/udhcpc.sh >/run/"${card##*/}".log 2>&1 &
done
httpd -p 80 -h /run/www

shell='sh -i'
[ ! -f /etc/agent.sh ] || . /etc/agent.sh

# User data that is a script may go on in the background; what it says within three seconds comes before GUEST-READY.
if [ "$(head -c 2 /run/user-data 2>/dev/null)" = '#!' ]; then
  chmod 700 /run/user-data
  /run/user-data &
  script=$!
  for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do
    kill -0 "$script" 2>/dev/null || break
    usleep 200000
  done
fi

echo "Hello from virtgate guest $(hostname)"
echo "GUEST-READY $(cut -d' ' -f1 /proc/uptime)"

commands=$(argument virtgate.run | tr '+' ' ')
[ -z "$commands" ] || sh -c "$commands"

cd /root || cd /
export PS1='\h:\w# '
while :; do setsid cttyhack $shell; done
