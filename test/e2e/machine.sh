#!/bin/sh
# Turns the namespaces that it runs in into a machine of its own: the files of this one under an
# overlay in memory, fresh /run, /tmp and /dev, a DMI that says CloudStack, and nothing known about
# an earlier boot. Whatever is written there ends with the machine; the files below stay untouched.
#
#     ip netns exec GUEST unshare -m -u -i -p --fork --kill-child --mount-proc \
#         machine.sh FOLDER PRODUCT PROJECT
#
# PROJECT is there under its own name, to be read only, wherever it lies.

set -eu
folder=$1
product=$2
project=$3

mount --make-rprivate /
mount -t tmpfs tmpfs "$folder"
mkdir "$folder/upper" "$folder/work" "$folder/root" "$folder/net"
mount -t overlay overlay \
    -o "lowerdir=/,upperdir=$folder/upper,workdir=$folder/work" "$folder/root"
cd "$folder/root"

mount -t proc proc proc
mount -t tmpfs tmpfs run
mount -t tmpfs tmpfs tmp
if [ ! -e ".$project/package.json" ]; then
    mkdir -p ".$project"
    mount --bind -o ro "$project" ".$project"
fi

# Only devices that cannot reach this machine's disks or its console.
mount -t tmpfs tmpfs dev
mkdir dev/pts dev/shm
for device in null zero full random urandom; do
    : > "dev/$device"
    mount --bind "/dev/$device" "dev/$device"
done
ln -s /proc/self/fd dev/fd
ln -s /proc/self/fd/0 dev/stdin
ln -s /proc/self/fd/1 dev/stdout
ln -s /proc/self/fd/2 dev/stderr

# sysfs as this network namespace sees it; its classes but for the network are replaced.
mount -t sysfs -o ro sysfs sys
mount --bind sys/class/net "$folder/net"
mount -t tmpfs tmpfs sys/class
mkdir -p sys/class/net sys/class/block sys/class/dmi/id
mount --bind "$folder/net" sys/class/net
echo "$product" > sys/class/dmi/id/product_name
echo "Apache Software Foundation" > sys/class/dmi/id/sys_vendor

# An image that never booted. The locale is given, so that the boot does not build one.
rm -rf var/lib/cloud/* var/log/cloud-init* var/lib/dhcp/* root/.ssh home/*
rm -f etc/ssh/ssh_host_* etc/cloud/cloud-init.disabled
find etc/cloud/cloud.cfg.d -name '*.cfg' ! -name 05_logging.cfg ! -name 90_dpkg.cfg -delete
echo "locale: C.UTF-8" > etc/cloud/cloud.cfg.d/99_image.cfg
hostname image

# Ready only inside: whoever enters before the root has changed would write to the real files.
exec setpriv --bounding-set=-sys_boot,-sys_module,-sys_time,-sys_rawio,-mknod \
    chroot . sh -c 'echo ready; exec sleep infinity'
