# pvpn: a layer-3 VPN over any SSH server. docs/hacking.md lists the targets.

include config.mk

SOURCES != find lib plugins -name '*.ts'

UNITS = pvpn@.service pvpn-recover.service

# What root makes in somebody's tree (sudo make test) stays theirs.
OWN = test "$$(id -u)" -ne 0 || for made in pvpn vendor dist \
	tools/offline/node_modules docs/performance.md docs/performance.svg; do \
	test ! -e "$$made" || chown -hR --reference=Makefile "$$made" || exit 1; done

all: pvpn

# make PLUGINS='./my_tunnel.ts ...' compiles more tunnel types in. A make without
# it, such as make install, takes what was built.
REBUILD != test -z "${PLUGINS}" || echo rebuild

pvpn: cli.ts plugin.ts ${SOURCES} deno.json deno.lock ${PLUGINS} ${REBUILD}
	tools/with-deno --compile deno run --allow-read --allow-write=. \
		--allow-env --allow-run=deno tools/compile.ts ${PLUGINS}
	@${OWN}

rebuild:

deps:
	@tools/deps
	@${OWN}

# make test FILES='tests/a_test.ts ...' FILTER='part of a name or /regexp/'
# pvpn by a make of its own: even with -j it is built after deps, not beside it.
test: deps
	@tools/deps vm
	@tools/deps docs
	@${MAKE} --no-print-directory -s pvpn
	@tools/with-deno --compile deno run -A tools/test.ts ${FILES}

# The same in a virtual machine, which has a kernel with ppp and netem.
vm-test: deps
	@tools/deps vm
	@tools/deps docs
	@${MAKE} --no-print-directory -s pvpn
	@tools/with-deno --compile deno run -A tools/test.ts --vm ${FILES}

demo: deps
	@${MAKE} --no-print-directory -s pvpn
	@tools/with-deno deno run -A tools/demo.ts

# make bench ROUNDS=20 takes longer, and finds more exact figures.
bench: deps
	@tools/deps vm
	@tools/deps bench
	@${MAKE} --no-print-directory -s pvpn
	@tools/with-deno deno run -A tests/bench/run.ts ${ROUNDS}
	@${OWN}

# Each step of each operation, failed and killed. make faults TYPES='ssh-3 ...';
# where this kernel has no ppp, that is tried in a virtual machine. A failure is
# tried again with TYPES=... ONLY='...', as it says itself.
TYPES = ssh-3 ssh-gso ppp
faults: deps
	@tools/deps vm
	@${MAKE} --no-print-directory -s pvpn
	@tools/with-deno --compile deno run -A tests/faults/main.ts ${TYPES}

check:
	tools/with-deno deno fmt --check
	tools/with-deno deno lint
	tools/with-deno deno check
	tools/with-deno deno doc --lint mod.ts testing.ts
	tools/with-deno deno publish --quiet --dry-run --allow-dirty

release:
	tools/with-deno --release deno run --allow-read --allow-write=dist \
		--allow-run=deno tools/release.ts
	@${OWN}

# The sources of the last commit; make deb, a Debian package of ./pvpn.
dist:
	@tools/dist
	@${OWN}

deb: pvpn
	@tools/deb
	@${OWN}

install: pvpn install-data
	install -D -m 755 pvpn "${DESTDIR}${PREFIX}/bin/pvpn"

# All but the program.
install-data:
	install -D -m 644 man/pvpn.8 "${DESTDIR}${MANPREFIX}/man8/pvpn.8"
	install -D -m 644 contrib/completions/pvpn.bash \
		"${DESTDIR}${BASHCOMPDIR}/pvpn"
	install -D -m 644 contrib/completions/_pvpn "${DESTDIR}${ZSHCOMPDIR}/_pvpn"
	install -D -m 644 contrib/completions/pvpn.fish \
		"${DESTDIR}${FISHCOMPDIR}/pvpn.fish"
	mkdir -p "${DESTDIR}${UNITDIR}"
	for unit in ${UNITS}; do \
		sed 's|^\(Exec.*=-*\)pvpn |\1${PREFIX}/bin/pvpn |' \
			"contrib/systemd/$$unit" >"${DESTDIR}${UNITDIR}/$$unit" && \
		chmod 644 "${DESTDIR}${UNITDIR}/$$unit" || exit 1; done

uninstall:
	rm -f "${DESTDIR}${PREFIX}/bin/pvpn" "${DESTDIR}${MANPREFIX}/man8/pvpn.8" \
		"${DESTDIR}${BASHCOMPDIR}/pvpn" "${DESTDIR}${ZSHCOMPDIR}/_pvpn" \
		"${DESTDIR}${FISHCOMPDIR}/pvpn.fish"
	for unit in ${UNITS}; do rm -f "${DESTDIR}${UNITDIR}/$$unit"; done

clean:
	rm -rf pvpn dist vendor tools/offline/node_modules

.PHONY: all rebuild deps test vm-test demo bench faults check release dist deb \
	install install-data uninstall clean
