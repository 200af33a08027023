# bash completion for pvpn(8); needs bash-completion.
# shellcheck shell=bash

# >>> tools/completions.ts options
_pvpn_options='-t --type -i --ip -s --first-ssh-hop -D --inherit-dns --dns --dns-domain --ssh-user -x --exclude --ipv6 --allow-fallback --mtu --parallel -N --auto-nets --nat -f --foreground -n --dry-run -S --stop -l --list --watch --json --check --recover --types -q --quiet -d --debug -h --help -v --version'
# Those whose value is the next word.
_pvpn_with_value=' -t --type -i --ip -s --first-ssh-hop --dns --dns-domain --ssh-user -x --exclude --ipv6 --mtu --parallel '
# Those beside which there is no SSH-HOST.
_pvpn_without_host=' -S --stop -l --list --watch --recover --types -h --help -v --version '

_pvpn_types() {
  _pvpn_offer ppp ssh-3 ssh-gso auto
  _pvpn_offer_files .js '' /usr/local/lib/pvpn/plugins/*.js \
    /usr/lib/pvpn/plugins/*.js
}

# Offers the values of an option; fails where it has none.
_pvpn_value() {
  case $1 in
    -t | --type) _pvpn_types ;;
    -i | --ip) _pvpn_offer any:any ;;
    -s | --first-ssh-hop) _pvpn_hosts ;;
    --dns) _pvpn_offer ;;
    --dns-domain) _pvpn_offer ;;
    --ssh-user) _pvpn_users ;;
    -x | --exclude) _pvpn_offer ;;
    --ipv6) _pvpn_offer tunnel block leave ;;
    --mtu) _pvpn_offer auto ;;
    --parallel) _pvpn_offer 2 4 8 ;;
    -S | --stop) _pvpn_devices ;;
    *) return 1 ;;
  esac
}
# <<<

# Offers those words that what was typed can become. compgen -W would expand
# them, so run what a file's name says.
_pvpn_offer() {
  local word
  for word; do
    if [[ $word == "$cur"* && $word =~ ^@?[[:alnum:]_.:-]+$ ]]; then
      COMPREPLY+=("$word")
    fi
  done
}

# Offers what stands in the names of files before a suffix, behind a prefix.
_pvpn_offer_files() {
  local suffix=$1 prefix=$2 file
  shift 2
  for file; do
    [[ -e $file ]] || continue
    file=${file##*/}
    _pvpn_offer "$prefix${file%"$suffix"}"
  done
}

_pvpn_devices() {
  # Only root may look into it; others are shown what could be a tunnel.
  if [[ -r /run/pvpn ]]; then
    _pvpn_offer_files .json '' /run/pvpn/*.json
  elif [[ -e /run/pvpn ]]; then
    _pvpn_offer_files '' '' /sys/class/net/{tun,ppp}[0-9]*
  fi
}

_pvpn_hosts() {
  _known_hosts_real -a -- "$cur"
}

_pvpn_users() {
  local name
  while read -r name; do _pvpn_offer "$name"; done < <(compgen -u -- "$cur")
}

_pvpn() {
  local cur prev words cword split
  _init_completion -s -n : || return
  COMPREPLY=()
  local i host=
  for ((i = 1; i < cword; i++)); do
    case ${words[i]} in
      -*)
        [[ $_pvpn_without_host != *" ${words[i]%%=*} "* ]] || host=none
        [[ $_pvpn_with_value != *" ${words[i]} "* ]] || ((i += 1)) ;;
      *) [[ -n $host ]] || host=${words[i]} ;;
    esac
  done
  if [[ $cur == -* && $split == false ]]; then
    # shellcheck disable=SC2086  # one word for each option
    _pvpn_offer $_pvpn_options
  elif _pvpn_value "$prev" || [[ $split == true || $host == none ]]; then
    :
  elif [[ -n $host ]]; then
    _pvpn_offer default
  else
    _pvpn_offer_files .conf @ /etc/pvpn/*.conf
    [[ $cur == @* ]] || _pvpn_hosts
  fi
  __ltrim_colon_completions "$cur"
} &&
  complete -F _pvpn pvpn
