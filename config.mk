# Where make install puts things; make install PREFIX=... overrides.
PREFIX = /usr/local
MANPREFIX = ${PREFIX}/share/man

# Where bash-completion, zsh and fish look for completions: fish below /usr/local
# only if XDG_DATA_DIRS names it, which a desktop sets; for others, there is
# make install FISHCOMPDIR=/etc/fish/completions.
BASHCOMPDIR = ${PREFIX}/share/bash-completion/completions
ZSHCOMPDIR = ${PREFIX}/share/zsh/site-functions
FISHCOMPDIR = ${PREFIX}/share/fish/vendor_completions.d

# Where systemd looks for units: below PREFIX if that is /usr or /usr/local.
UNITDIR = ${PREFIX}/lib/systemd/system

# Tunnel types that are compiled in beside the built-in ones; see
# docs/plugins.md.
PLUGINS =
