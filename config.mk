# Where make install puts things; make install PREFIX=... overrides.
PREFIX = /usr/local
MANPREFIX = ${PREFIX}/share/man
