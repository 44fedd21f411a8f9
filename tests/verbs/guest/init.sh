#!/bin/busybox sh
# First process of the guest: NICs of soft-RoCE on two planes, then the tests, then power off.
# The shell would take its own ip for iproute2's, hence whole paths.
export PATH=/bin
busybox mount -t proc proc /proc
busybox mount -t sysfs sysfs /sys
busybox mount -t devtmpfs dev /dev
busybox mkdir -p /dev/shm /tmp
busybox mount -t tmpfs tmpfs /dev/shm
busybox mount -t tmpfs tmpfs /tmp
busybox dmesg -n 1
/bin/ip link set lo up
for module in $(busybox cat /modules/list); do
    busybox insmod /modules/$module || echo "no module $module"
done
set_all() { echo "$2" > /proc/sys/net/ipv4/conf/all/$1; echo "$2" > /proc/sys/net/ipv4/conf/default/$1; }
for family in all default; do echo 1 > /proc/sys/net/ipv6/conf/$family/disable_ipv6; done
# rxe 6.1 knows one network namespace: all hosts live in it, and packets still leave by their own
# NIC, since rxe routes with the outgoing interface given.
set_all rp_filter 0
set_all accept_local 1
set_all arp_ignore 1
set_all arp_announce 2
# Host h, rail r, plane p: NIC h{h}r{r}p{p}, address 10.p.h.(r+1), switch sw{p}.
{
    for p in 0 1; do echo "link add sw$p type bridge"; echo "link set sw$p mtu 9000 up"; done
    for h in 0 1; do for r in 0 1; do for p in 0 1; do
        n=h${h}r${r}p${p}
        echo "link add $n mtu 9000 type veth peer name s$n mtu 9000"
        echo "link set s$n master sw$p up"
        echo "addr add 10.$p.$h.$((r + 1))/16 dev $n"
        echo "link set $n up"
    done; done; done
} > /tmp/links
/bin/ip -batch /tmp/links
for h in 0 1; do for r in 0 1; do for p in 0 1; do
    /bin/rdma link add xh${h}r${r}p${p} type rxe netdev h${h}r${r}p${p}
done; done; done
echo "GUEST-UP $(busybox cut -d' ' -f1 /proc/uptime) s, $(busybox ls /sys/class/infiniband | busybox wc -l) RDMA devices"
# The other transports' conformance is tested where time is not emulated.
export WEFT_TRANSPORT=verbs
failed=0
job() {
    name=$1
    shift
    echo "== $name"
    "$@" || { echo "GUEST-FAILED $name: status $?"; failed=1; }
    echo "== $name ended at $(busybox cut -d' ' -f1 /proc/uptime) s"
}
. /test/jobs
[ $failed = 0 ] && echo "GUEST-PASSED"
busybox poweroff -f
