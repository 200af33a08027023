/**
 * The server's firewall, for `--nat`: what is added to it, with nft(8) or else
 * iptables(8), and found again in it. See `remote_nat.ts`.
 *
 * @module
 */

/**
 * POSIX sh, functions only. `$family` is `ip` or `ip6`, `$nat_own` the
 * tunnel's device, `$to` the client's address, `$tag` what comments start with.
 */
export const FIREWALL_SCRIPT = `
nat_run() { why=$("$@" 2>&1); }

# Others' forward chains that nft knows. iptables' own are left to iptables,
# which no more reads a table where nft has added a rule.
nat_chains() {
  [ -z "$nat_nft" ] || nft list chains | while read -r word a b c _; do
    case $word:$a:$b:$c in
      table:*) in="$a $b" ;;
      chain:*) chain=$a ;;
      type:filter:hook:forward)
        case $in:$chain:$nat_xtables_nft in
          *" pvpn_"*) ;;
          ip*" filter:FORWARD:yes" | ip*" mangle:FORWARD:yes") ;;
          ip*" security:FORWARD:yes") ;;
          ip*:* | inet*:*) echo "$in $chain" ;;
        esac ;;
    esac
  done
}
# What was added by all sessions, a line each: FAMILY:DEVICE:INDEX:PID:ON:
# and the command that takes it back.
nat_added() {
  [ -z "$nat_nft" ] || nft list tables | while read -r _ a b; do
    case $b in pvpn_*) ;; *) continue ;; esac
    nft list table "$a" "$b" | nat_noted "$a" "nft delete table $a $b"
  done
  nat_chains | while read -r a b; do
    nft -a list chain "$a" $b | nat_noted "$a" "nft delete rule $a $b handle"
  done
  for x in $nat_xtables; do
    "$x-save" | nat_noted ip "$x -w -t"
    "ip6\${x#ip}-save" | nat_noted ip6 "ip6\${x#ip} -w -t"
  done
}
nat_noted() {
  q='"'
  while read -r line; do
    case $line in
      "*"*) table=\${line#?} ;;
      *"comment $q"pvpn:*)
        note=\${line#*"comment $q"}
        note=\${note%%$q*} how=$2
        case $2 in
          *handle) how="$2 \${line##*"# handle "}" ;;
          *-t) line=\${line#-A }
            how="$2 $table -D \${line%%$q*}$note\${line##*$q}" ;;
        esac
        echo "$1:\${note#pvpn:}:$how" ;;
    esac
  done
}

nat_with_nft() {
  nat_run nft "$(nat_table)"
}
nat_table() {
  q='"' syn="tcp flags & (syn | rst) == syn tcp option maxseg size set rt mtu"
  cat <<END
table $family pvpn_$nat_own {
chain forward {
type filter hook forward priority -150; policy accept;
iifname "$nat_own" $family saddr $to $syn
oifname "$nat_own" $family daddr $to $syn
END
  for up in $guards; do
    echo "iifname $q$up$q ct state != { established, related }" \\
      "ct status & dnat == 0 drop"
  done
  for up in $ups; do
    echo "iifname $q\${up%+*}$q comment $q$tag:$up$q"
  done
  cat <<END
}
chain postrouting {
type nat hook postrouting priority 100; policy accept;
oifname != "$nat_own" $family saddr $to masquerade comment "$tag:-"
}
}
END
}
nat_with_iptables() {
  x=\${nat_xtables# } x=\${x%% *}
  ! command -v iptables >/dev/null 2>&1 || x=iptables
  [ "$family" = ip ] || x=ip6\${x#ip}
  note="-m comment --comment $tag"
  nat_run "$x" -w -t nat -I POSTROUTING -s "$to" ! -o "$nat_own" $note:- \\
    -j MASQUERADE || return
  for way in "-i $nat_own -s $to" "-o $nat_own -d $to"; do
    nat_run "$x" -w -t mangle -I FORWARD $way -p tcp --tcp-flags SYN,RST SYN \\
      $note:- -j TCPMSS --clamp-mss-to-pmtu || return
  done
  for up in $guards; do
    nat_run "$x" -w -t mangle -I FORWARD -i "$up" -m conntrack \\
      ! --ctstate ESTABLISHED,RELATED,DNAT $note:- -j DROP || return
  done
  for up in $ups; do
    nat_run "$x" -w -t mangle -A FORWARD -i "\${up%+*}" $note:$up || return
  done
}
# What one chain drops, no other can bring back: so the tunnel is let through
# in each that may drop it.
nat_let_through() {
  note="\\"$tag:-\\""
  while read -r a b; do
    case $a in "$family" | inet) ;; *) continue ;; esac
    case $(nft list chain "$a" $b 2>/dev/null) in
      *drop* | *reject* | *jump* | *goto* | *queue*) ;;
      *) continue ;;
    esac
    nat_run nft insert rule "$a" $b oifname "$nat_own" "$family" daddr "$to" \\
      ct state established,related accept comment "$note" &&
    nat_run nft insert rule "$a" $b iifname "$nat_own" "$family" saddr "$to" \\
      accept comment "$note" || return
  done <<END
$(nat_chains 2>/dev/null)
END
  note="-m comment --comment $tag:-"
  for x in $nat_xtables; do
    [ "$family" = ip ] || x=ip6\${x#ip}
    case $("$x-save" 2>/dev/null) in
      *"*filter"*":FORWARD DROP"* | *"*filter"*"-A FORWARD "*) ;;
      *) continue ;;
    esac
    nat_run "$x" -w -I FORWARD -o "$nat_own" -d "$to" -m conntrack \\
      --ctstate ESTABLISHED,RELATED $note -j ACCEPT &&
    nat_run "$x" -w -I FORWARD -i "$nat_own" -s "$to" $note -j ACCEPT || return
  done
}
`;
