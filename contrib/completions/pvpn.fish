# fish completion for pvpn(8).

# Succeeds where the word that is typed is SSH-HOST, or with "route" a ROUTE.
function __pvpn_expects
    set -l words (commandline -opc)
    set -e words[1]
    set -l host
    while set -q words[1]
        switch $words[1]
            case $__pvpn_without_host
                return 1
            case $__pvpn_with_value
                set -e words[1]
            case '-*'
            case '*'
                set host $words[1]
        end
        set -e words[1]
    end
    if test "$argv[1]" = route
        test -n "$host"
    else
        test -z "$host"
    end
end

# Prints what stands in the names of files before the suffix $argv[1].
function __pvpn_files
    for file in $argv[2..]
        basename $file $argv[1]
    end
end

function __pvpn_types
    # >>> tools/completions.ts types
    printf '%s\t%s\n' 'ppp' 'pppd over ssh; needs pppd on both ends'
    printf '%s\t%s\n' 'ssh-3' 'OpenSSH'\''s own tunnel; needs PermitTunnel there'
    printf '%s\t%s\n' 'ssh-gso' 'the fastest over ssh; needs perl on both ends'
    printf '%s\t%s\n' 'auto' 'the fastest of these that both ends can do'
    set -l files /usr/local/lib/pvpn/plugins/*.js /usr/lib/pvpn/plugins/*.js
    __pvpn_files .js $files
    # <<<
end

function __pvpn_devices
    # Only root may look into it; others are shown what could be a tunnel.
    if test -r /run/pvpn
        set -l files /run/pvpn/*.json
        __pvpn_files .json $files
    else if test -e /run/pvpn
        set -l files /sys/class/net/{tun,ppp}*
        __pvpn_files '' $files
    end
end

function __pvpn_profiles
    set -l files /etc/pvpn/*.conf
    for name in (__pvpn_files .conf $files)
        echo @$name
    end
end

# >>> tools/completions.ts options
set -g __pvpn_with_value -t --type -i --ip -s --first-ssh-hop --dns --dns-domain --ssh-user -x --exclude --ipv6 --mtu --parallel
set -g __pvpn_without_host -S --stop -l --list --watch --recover --types -h --help -v --version
complete -c pvpn -s t -l type -x -a '(__pvpn_types)' -d 'tunnel type (default ppp)'
complete -c pvpn -s i -l ip -x -a 'any:any' -d 'addresses of this end and of the server'\''s'
complete -c pvpn -s s -l first-ssh-hop -x -a '(__fish_print_hostnames)' -d 'the SSH server that packets really go to, if pvpn cannot see it: behind a reverse tunnel'
complete -c pvpn -s D -l inherit-dns -d 'ask for names where the server asks, through the tunnel, and search in the domains that it has'
complete -c pvpn -l dns -x -d 'ask these resolvers, through the tunnel'
complete -c pvpn -l dns-domain -x -d 'ask them for names in DOMAIN only (with systemd-resolved)'
complete -c pvpn -l ssh-user -x -a '(__fish_complete_users)' -d 'whose ssh runs, with that user'\''s keys, agent and configuration (under sudo, yours)'
complete -c pvpn -s x -l exclude -x -d 'keep NETWORK out of the tunnel'
complete -c pvpn -l ipv6 -x -a 'tunnel block leave' -d 'IPv6 under default: tunnel, which blocks it where the server has none'
complete -c pvpn -l allow-fallback -d 'let its traffic out in clear while it is down'
complete -c pvpn -l mtu -x -a 'auto' -d 'MTU of the tunnel, 576 to 16380 (default: what the type has, mostly 1500)'
complete -c pvpn -l parallel -x -a '2 4 8' -d 'carry it by N ssh processes (ssh-gso), which share its flows: faster on lines that lose packets'
complete -c pvpn -s N -l auto-nets -d 'route the networks that the server itself reaches'
complete -c pvpn -l nat -d 'have the server forward and masquerade while the tunnel is up'
complete -c pvpn -s f -l foreground -d 'stay, and reconnect from here'
complete -c pvpn -s n -l dry-run -d 'print the commands for both ends'
complete -c pvpn -s S -l stop -a '(__pvpn_devices)' -d 'stop the tunnel DEVICE, or all tunnels'
complete -c pvpn -n '__fish_contains_opt -s S stop' -a '(__pvpn_devices)'
complete -c pvpn -s l -l list -d 'list the tunnels'
complete -c pvpn -l watch -d 'with --list: again every second, until ^C'
complete -c pvpn -l json -d 'with --list, --check: in a form for programs'
complete -c pvpn -l check -d 'tell what is missing, here and on SSH-HOST'
complete -c pvpn -l recover -d 'undo what died while connecting'
complete -c pvpn -l types -d 'list the tunnel types, those of plugins too'
complete -c pvpn -s q -l quiet -d 'say nothing but errors, and what was asked for'
complete -c pvpn -s d -l debug -d 'print every command that is run, on both ends'
complete -c pvpn -s h -l help -d 'print this help'
complete -c pvpn -s v -l version -d 'print the version'
# <<<

complete -c pvpn -f
complete -c pvpn -n __pvpn_expects -a '(__pvpn_profiles)' -d profile
complete -c pvpn -n __pvpn_expects -a '(__fish_complete_user_at_hosts)' -d 'SSH server'
complete -c pvpn -n '__pvpn_expects route' -a default -d 'all traffic'
