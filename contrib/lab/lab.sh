#!/usr/bin/env bash
# Five hosts on one network, all of them on this machine, each in a network namespace of its own: two agents' hosts and two
# nodes, as in the exchange of docs/protocol.md §8, and one for the man in the middle. docs/lab.md is the lesson that goes
# with it.
set -euo pipefail
# Programs run as another user than who makes their files.
umask 022

usage() {
    cat <<'END'
usage: lab.sh COMMAND                      as root: sudo contrib/lab/lab.sh up

  up                    make the network, start both nodes
  down                  end every program on it, take it away with all logs and files
  status                what is there
  run HOST COMMAND ...  run COMMAND on HOST: u1, u2, PC-c, PC-d, PC-m, or net, where everything passes on lab0
  unplug HOST           pull its cable: what is sent to it and from it is lost, and nobody is told
  plug HOST             put it back
  kill HOST             end its programs at once, as a crash does
  start HOST            start the node of PC-c or PC-d again
  divert HOST NAME TO   have HOST find the host TO under NAME, as a forged answer of DNS does; TO is NAME: the truth again

  u1  10.100.100.101    for the agent u1@PC-c        PC-c  10.100.100.103    node of the domain PC-c, users u1 and u3
  u2  10.100.100.102    for the agent u2@PC-d        PC-d  10.100.100.104    node of the domain PC-d, user u2
                                                     PC-m  10.100.100.105    nothing, until somebody sits in between

Each host has a folder of its own in /run/lumi-lab, in which its programs run and write their logs. Programs run as the user who
called sudo, those on net as root, which may capture. lumi-node and mi-agent are taken from $LUMI_LAB_BIN (sudo LUMI_LAB_BIN=...
lab.sh up), else from target/ of this repository (release before debug), else from the $PATH of root. Nothing on this network reaches this machine or the Internet.
END
}

lab=/run/lumi-lab
hosts=(u1 u2 PC-c PC-d PC-m)
declare -A address=([u1]=10.100.100.101 [u2]=10.100.100.102 [PC-c]=10.100.100.103 [PC-d]=10.100.100.104 [PC-m]=10.100.100.105)
declare -A users_of=([PC-c]=$'u1\nu3' [PC-d]=u2)
# Seconds for a node to become ready, and for programs to end before they are killed.
patience=10

fail() {
    echo "lab.sh: $*" >&2
    exit 1
}

# The namespace of a host.
space() { echo "lumi-lab-$1"; }

host_of() {
    [[ " ${hosts[*]} ${2:-} " == *" $1 "* ]] || fail "there is no host '$1' here; there are: ${hosts[*]} ${2:-}"
}

is_up() { [ -e "$lab" ]; }

need_lab() { is_up || fail "the lab is not up: sudo $0 up"; }

programs() {
    local root place
    root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
    for place in "${LUMI_LAB_BIN:-}" "$root/target/release" "$root/target/debug"; do
        if [ -n "$place" ] && [ -x "$place/lumi-node" ] && [ -x "$place/mi-agent" ]; then
            (cd "$place" && pwd)
            return
        fi
    done
    command -v lumi-node >/dev/null && command -v mi-agent >/dev/null && dirname "$(command -v lumi-node)"
}

# host, then the command: in its folder, with settings and data there, as whoever called sudo.
on_host() {
    local host=$1 as=()
    shift
    if [ "$host" != net ] && [ -n "${SUDO_UID:-}" ]; then as=(setpriv --reuid "$SUDO_UID" --regid "$SUDO_GID" --clear-groups); fi
    cd "$lab/$host"
    exec ip netns exec "$(space "$host")" "${as[@]}" env HOME="$lab/$host" XDG_CONFIG_HOME="$lab/$host" XDG_DATA_HOME="$lab/$host" \
        PATH="$(cat "$lab/programs"):$(cat "$lab/programs")/examples:$PATH" "$@"
}

start_node() {
    local host=$1 deadline
    [ -z "$(ip netns pids "$(space "$host")")" ] || fail "something runs on $host already"
    # What an earlier start has said is not said of this one.
    rm -f "$lab/$host.out" "$lab/$host.err"
    (on_host "$host" setsid lumi-node --roster nodelumi.cfg --control-socket ctl.sock --web 127.0.0.1:8344 </dev/null >"$lab/$host.out" 2>"$lab/$host.err" &)
    deadline=$((SECONDS + patience))
    until grep -q '^lumi-node: domain' "$lab/$host.out" 2>/dev/null; do
        if [ $SECONDS -ge $deadline ] || grep -q '^lumi-node: ' "$lab/$host.err" 2>/dev/null; then
            fail "the node of $host does not start: $(cat "$lab/$host.err")"
        fi
        sleep 0.05
    done
}

# host: the names that it knows, of which the one given may lead to another host.
write_names() {
    local host=$1 name=${2:-} to=${3:-} other names=$'127.0.0.1 localhost\n'
    for other in "${hosts[@]}"; do
        if [ "$other" = "$name" ]; then names+="${address[$to]} $other"$'\n'; else names+="${address[$other]} $other"$'\n'; fi
    done
    # The same file: programs that run have it in a mount namespace of their own.
    printf %s "$names" >"/etc/netns/$(space "$host")/hosts"
}

make_host() {
    local host=$1 space
    space=$(space "$host")
    ip netns add "$space"
    ip netns exec "$space" sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
    ip -n "$space" link set lo up
    mkdir "$lab/$host"
    [ "$host" = net ] && return
    ip -n "$(space net)" link add "$host" type veth peer name eth0 netns "$space"
    ip -n "$(space net)" link set "$host" master lab0 up
    ip -n "$space" link set eth0 up
    ip -n "$space" addr add "${address[$host]}/24" dev eth0
    # Names of this network alone, and no name server to ask about others.
    mkdir "/etc/netns/$space"
    echo "nameserver 127.0.0.1" >"/etc/netns/$space/resolv.conf"
    write_names "$host"
    [ -z "${users_of[$host]:-}" ] || printf '%s\n' "$host" "${users_of[$host]}" >"$lab/$host/nodelumi.cfg"
    if [ -n "${SUDO_UID:-}" ]; then chown -R "$SUDO_UID:$SUDO_GID" "$lab/$host"; fi
}

# Who is where on the cable is known from the start: what is lost with an unplugged host is lost without a word of the kernel.
introduce() {
    local host other
    for host in "${hosts[@]}"; do
        for other in "${hosts[@]}"; do
            [ "$host" = "$other" ] || ip -n "$(space "$host")" neigh add "${address[$other]}" dev eth0 nud permanent \
                lladdr "$(ip netns exec "$(space "$other")" cat /sys/class/net/eth0/address)"
        done
    done
}

up() {
    local host bin
    ! is_up || fail "the lab is up already, or was left: sudo $0 down"
    for host in net "${hosts[@]}"; do
        [ ! -e "/run/netns/$(space "$host")" ] || fail "there is a namespace $(space "$host") that is not of a lab: ip netns del $(space "$host")"
    done
    bin=$(programs) || fail "lumi-node and mi-agent are not built: cargo build -p lumi-node -p mi-agent"
    # Whoever makes this folder has the lab.
    mkdir "$lab" || fail "another lab is being made"
    trap 'echo "lab.sh: taking away what was made" >&2; take_away' EXIT
    trap 'exit 1' INT TERM
    echo "$bin" >"$lab/programs"
    if [ ! -e /etc/netns ]; then
        mkdir /etc/netns
        touch "$lab/made-netns"
    fi
    make_host net
    ip -n "$(space net)" link add lab0 type bridge
    ip -n "$(space net)" link set lab0 up
    for host in "${hosts[@]}"; do make_host "$host"; done
    introduce
    for host in "${!users_of[@]}"; do start_node "$host"; done
    trap - EXIT INT TERM
    echo "the lab is up, its logs are in $lab"
}

# signal, then hosts: to every program on them; nothing else can be in their namespaces.
signal() {
    local signal=$1 host pids
    shift
    for host in "$@"; do
        pids=$(ip netns pids "$(space "$host")" 2>/dev/null || true)
        # shellcheck disable=SC2086
        [ -z "$pids" ] || kill "-$signal" $pids 2>/dev/null || true
    done
}

# Whether a program runs on one of the hosts.
is_busy() {
    local host
    for host in "$@"; do
        if [ -n "$(ip netns pids "$(space "$host")" 2>/dev/null)" ]; then return 0; fi
    done
    return 1
}

wait_until_ended() {
    local deadline=$((SECONDS + patience))
    while is_busy "$@" && [ $SECONDS -lt $deadline ]; do sleep 0.05; done
}

end() {
    signal TERM "$@"
    signal CONT "$@"
    wait_until_ended "$@"
    signal KILL "$@"
    wait_until_ended "$@"
}

take_away() {
    local host
    # Nobody is to leave half of it.
    trap '' INT TERM HUP
    # Agents first: they deregister at nodes that are still there.
    end u1 u2 PC-m
    end PC-c PC-d net
    for host in "${hosts[@]}" net; do
        [ ! -e "/run/netns/$(space "$host")" ] || ip netns del "$(space "$host")"
        rm -rf "/etc/netns/$(space "$host")"
    done
    if [ -e "$lab/made-netns" ]; then rmdir --ignore-fail-on-non-empty /etc/netns; fi
    rm -rf "$lab"
}

down() {
    need_lab
    take_away
    echo "the lab is down, nothing of it is left"
}

status() {
    local host cable pid
    if ! is_up; then
        echo "the lab is not up"
        return 1
    fi
    for host in "${hosts[@]}"; do
        cable=unplugged
        ip -n "$(space net)" -o link show "$host" | grep -q 'master lab0' && cable=plugged
        printf '%-5s %-15s %s\n' "$host" "${address[$host]}" "$cable"
        for pid in $(ip netns pids "$(space "$host")"); do
            printf '      %s %s\n' "$pid" "$(tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null || true)"
        done
    done
}

command=${1:-help}
case "$command" in
    up | down | status | run | unplug | plug | kill | start | divert) ;;
    help | -h | --help) usage && exit ;;
    *) usage >&2 && exit 2 ;;
esac
[ "$(id -u)" = 0 ] || fail "namespaces are made and entered by root: sudo $0 $*"
command -v ip >/dev/null || fail "there is no ip: install iproute2"
shift
if [ "$command" != up ] && [ "$command" != down ] && [ "$command" != status ]; then
    [ $# -gt 0 ] || { usage >&2 && exit 2; }
    need_lab
fi
case "$command" in
    up | down | status) "$command" ;;
    run)
        host_of "$1" net
        [ $# -gt 1 ] || { usage >&2 && exit 2; }
        on_host "$@"
        ;;
    unplug)
        host_of "$1"
        ip -n "$(space net)" link set "$1" nomaster
        ;;
    plug)
        host_of "$1"
        ip -n "$(space net)" link set "$1" master lab0
        ;;
    kill)
        host_of "$1"
        signal KILL "$1"
        wait_until_ended "$1"
        ;;
    start)
        [ -n "${users_of[$1]:-}" ] || fail "nodes are on: ${!users_of[*]}"
        start_node "$1"
        ;;
    divert)
        [ $# = 3 ] || { usage >&2 && exit 2; }
        for host in "$@"; do host_of "$host"; done
        write_names "$@"
        # A node remembers what it has found, for a minute at most. None may run.
        if [ -n "${users_of[$1]:-}" ]; then (on_host "$1" lumi-node ctl --socket ctl.sock reload) || true; fi
        ;;
esac
