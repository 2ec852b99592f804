# Read by init.sh in the guest that has Debian's guest agent. Kernel arguments that it knows besides:
#   virtgate.data=/dev/vda  makes an ext4 file system on that disk, unless there is one, and mounts it at /data
#   virtgate.noagent=1      does not start the agent: `start-agent` at the console does
mkdir -p /var /data /etc/inetd.d
ln -s /run /var/run
touch /run/utmp

# What udev would do: names of the ports, which the host tells some time after the driver is there.
cat >/bin/start-agent <<'START'
#!/bin/sh
name=org.qemu.guest_agent.0
mkdir -p /dev/virtio-ports
until [ -e /dev/virtio-ports/$name ]; do
  for port in /sys/class/virtio-ports/*; do
    [ "$(cat "$port/name" 2>/dev/null)" = $name ] && ln -sf "/dev/${port##*/}" /dev/virtio-ports/$name
  done
  usleep 100000
done
# It ends when the host resets the port, and knows after a new start that file systems are frozen.
until [ -e /run/stop-agent ]; do
  qemu-ga -m virtio-serial -p /dev/virtio-ports/$name -t /run >>/run/qemu-ga.log 2>&1
  usleep 200000
done
START
cat >/bin/shutdown <<'SHUTDOWN'
#!/bin/sh
sync
case " $* " in *' -r '*) reboot -f ;; *) poweroff -f ;; esac
SHUTDOWN
chmod 755 /bin/start-agent /bin/shutdown

disk=$(argument virtgate.data)
if [ -n "$disk" ]; then
  modprobe -q ext4
  mount -t ext4 "$disk" /data 2>/dev/null || {
    mkfs.ext4 -q -F "$disk" && mount -t ext4 "$disk" /data
  }
  echo "virtgate-guest: $disk is at /data"
fi

# Whatever comes to port 7 goes back, by TCP and by UDP.
printf 'echo 7/tcp\necho 7/udp\n' >/etc/services
printf 'tcp 6 TCP\nudp 17 UDP\n' >/etc/protocols
printf 'echo stream tcp nowait root internal\necho dgram udp wait root internal\n' >/etc/inetd.conf
inetd /etc/inetd.conf

[ "$(argument virtgate.noagent)" = 1 ] || start-agent &
# Whoever sits at the console is a user who is logged in.
shell="login -p -f root"
