#!/bin/sh
# Builds the Debian package of a version: build.sh VERSION [DIR]. The same commit and Go make
# the same package, to the byte. Run on a Debian of the architecture that it is for.
set -eu
umask 022

version=${1:?usage: build.sh VERSION [DIR]}
case $version in
[!0-9]* | *[!A-Za-z0-9.+~-]*)
	echo "build.sh: $version is no version of Debian's: a digit, and then letters, digits and . + ~ -; deb-version(7)" >&2
	exit 2
	;;
esac
out=$(realpath "${2:-.}")
cd "$(dirname "$0")"
arch=$(dpkg --print-architecture)
# Not all that a version may have can be in the name of a unit; systemd.unit(5).
release=$(echo "$version" | sed 's/~/_/g; s/+/__/g')
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH

tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
chmod 755 "$tree"
lib=$tree/usr/lib/overlap
share=$tree/usr/share
doc=$share/doc/overlap

file() { # SOURCE TARGET: not to be run
	install -D -m 644 "$1" "$2"
}

program() {
	mkdir -p "$lib" "$tree/usr/bin"
	CGO_ENABLED=0 go build -C ../.. -trimpath -ldflags "-s -w -X main.version=$version" -o "$lib/server" ./cmd/server
	ln -s ../lib/overlap/server "$tree/usr/bin/overlap"
}

# There is one unit, that of the systemd recipe; here its releases are where dpkg puts things.
unit() {
	sed -e 's|^# To /etc/systemd/system\. |# |' -e 's|/opt/overlap/|/usr/lib/overlap/|' \
		-e '/^Description=/a Documentation=man:overlap-serve(1)' "../systemd/overlap@.service" >"$tree/unit"
	file "$tree/unit" "$tree/usr/lib/systemd/system/overlap@.service"
	rm "$tree/unit"
	file ../systemd/overlap.env "$tree/etc/overlap/overlap.env"
}

# By the name that it has here, which a program goes by; server(1) may be anybody's.
manual() {
	"$tree/usr/bin/overlap" man "$share/man/man1"
	gzip -9n "$share"/man/man1/*
	mkdir -p "$share/bash-completion/completions"
	"$tree/usr/bin/overlap" completion bash >"$share/bash-completion/completions/overlap"
}

changelog() {
	cat <<END
overlap ($version) unstable; urgency=medium

  * What is new is in /usr/share/doc/overlap/CHANGELOG.md.gz.

 -- $(sed -n 's/^Maintainer: //p' DEBIAN/control)  $(date -u -R -d "@$SOURCE_DATE_EPOCH")
END
}

papers() {
	file copyright "$doc/copyright"
	sed -n '/^Permission/,$p' ../../LICENSE | sed 's/^$/./; s/^/ /' >>"$doc/copyright"
	changelog | gzip -9n >"$doc/changelog.gz"
	gzip -9nc ../../CHANGELOG.md >"$doc/CHANGELOG.md.gz"
	file ../systemd/60-overlap.conf "$doc/examples/60-overlap.conf"
	file lintian-overrides "$share/lintian/overrides/overlap"
}

# What dpkg reads; deb-control(5).
control() {
	mkdir "$tree/DEBIAN"
	size=$(du -k -s --apparent-size "$tree" | cut -f 1)
	for paper in DEBIAN/*; do
		sed -e "s/@VERSION@/$version/" -e "s/@RELEASE@/$release/" -e "s/@ARCH@/$arch/" -e "s/@SIZE@/$size/" "$paper" >"$tree/$paper"
	done
	chmod 755 "$tree/DEBIAN/postinst" "$tree/DEBIAN/prerm" "$tree/DEBIAN/postrm"
	(cd "$tree" && find usr -type f -exec md5sum {} + | sort -k 2 >DEBIAN/md5sums)
}

program
unit
manual
papers
control
dpkg-deb --root-owner-group --build "$tree" "$out/overlap_${version}_$arch.deb"
