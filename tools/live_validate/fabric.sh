#!/bin/bash
# A dual-plane fabric of network namespaces, for `weft validate --live` and tests/live; root.
#   fabric.sh NAME up HOSTS MBIT   hosts NAME-0.., NICs r0p0 r1p0 r0p1 r1p1 of MBIT each, either way
#   fabric.sh NAME cut PLANE       the plane's bridges go down; every carrier stays up
#   fabric.sh NAME heal PLANE
#   fabric.sh NAME down
#   fabric.sh NAME hold HOSTS MBIT up; says `ready`; down when standard input ends, whatever ends it
# Per plane a bridge for each rail and one that joins them, all in namespace NAME-sw. A rail's
# addresses are 10.(40 + 2 plane + rail).0.(host + 1)/24.
# arp_ignore and arp_announce: a host otherwise answers for the address of one NIC from another,
# and two rails of a plane share a wire.
set -e
NAME=$1
SW=$NAME-sw
# Four ports into the joining bridge must not be the bottleneck.
up() {
  local hosts=$1 mbit=$2 p r h batch tc
  ip netns add "$SW"
  # A switch does not ask a host's firewall about every frame: an eighth of all processor time.
  ip netns exec "$SW" sh -c 'for f in /proc/sys/net/bridge/bridge-nf-call-*; do
    if [ -e "$f" ]; then echo 0 > "$f"; fi; done'
  batch=$(mktemp); tc=$(mktemp)
  for p in 0 1; do
    echo "link add a$p type bridge"; echo "link set a$p mtu 9000 up"
    for r in 0 1; do
      echo "link add t${p}r$r type bridge"; echo "link set t${p}r$r mtu 9000 up"
      echo "link add u${p}r$r mtu 9000 type veth peer name d${p}r$r mtu 9000"
      echo "link set u${p}r$r master t${p}r$r up"; echo "link set d${p}r$r master a$p up"
    done
  done > "$batch"
  for ((h = 0; h < hosts; h++)); do
    ip netns add "$NAME-$h"
    ip netns exec "$NAME-$h" sh -c 'for f in all default; do
      echo 1 > /proc/sys/net/ipv4/conf/$f/arp_ignore
      echo 2 > /proc/sys/net/ipv4/conf/$f/arp_announce; done'
    ip -n "$NAME-$h" link set lo up
    for p in 0 1; do for r in 0 1; do
      echo "link add h${h}r${r}p$p mtu 9000 type veth peer name r${r}p$p mtu 9000 netns $NAME-$h"
      echo "link set h${h}r${r}p$p master t${p}r$r up"
    done; done
  done >> "$batch"
  ip -n "$SW" -b "$batch"
  # No packet of TCP is larger than the burst: none has to be cut up, at several times the work.
  local shape="tbf rate ${mbit}mbit burst $((mbit * 125 + 50000)) limit 2000000"
  for ((h = 0; h < hosts; h++)); do
    for p in 0 1; do for r in 0 1; do
      echo "link set r${r}p$p up"
      echo "addr add 10.$((40 + 2 * p + r)).0.$((h + 1))/24 dev r${r}p$p"
    done; done > "$batch"
    ip -n "$NAME-$h" -b "$batch"
    for p in 0 1; do for r in 0 1; do echo "qdisc add dev r${r}p$p root $shape"; done; done > "$tc"
    tc -n "$NAME-$h" -b "$tc"
    for p in 0 1; do for r in 0 1; do
      echo "qdisc add dev h${h}r${r}p$p root $shape"
    done; done > "$tc"
    tc -n "$SW" -b "$tc"
  done
  rm -f "$batch" "$tc"
}
plane() {
  printf 'link set t%s %s\nlink set t%s %s\nlink set a%s %s\n' \
    "${1}r0" "$2" "${1}r1" "$2" "$1" "$2" | ip -n "$SW" -b -
}
down() {
  ip netns list | awk -v n="$NAME-" 'index($1, n) == 1 {print $1}' |
    while read -r ns; do ip netns del "$ns"; done
}
hold() {
  exec 2>&1
  trap '' INT TERM HUP PIPE
  ip netns list | grep -q "^$NAME-" && { echo "there are namespaces $NAME-* already"; exit 1; }
  trap down EXIT
  up "$1" "$2"
  echo ready
  cat > /dev/null
}
case $2 in
  up) up "$3" "$4" ;;
  cut) plane "$3" down ;;
  heal) plane "$3" up ;;
  hold) hold "$3" "$4" ;;
  down) down ;;
  *) echo "fabric.sh NAME up HOSTS MBIT | cut PLANE | heal PLANE | hold HOSTS MBIT | down" >&2
     exit 2 ;;
esac
