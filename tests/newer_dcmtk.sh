#!/usr/bin/env bash
# Puts the json2dcm and dcm2json of a newer Debian's dcmtk into FOLDER/bin, beside whatever is installed:
#
#   tests/newer_dcmtk.sh FOLDER [RELEASE]
#
# json2dcm came with dcmtk 3.7.0, which Debian 12 and 13 do not have; RELEASE is Debian's testing where none is named.
# apt fetches and checks the packages from the archive that the machine has already, with lists and a cache of its own
# below FOLDER; nothing is installed. The programs run with the C library they were built for, by its own loader.
set -euo pipefail

fail() {
    echo "newer_dcmtk.sh: $*" >&2
    exit 1
}

[ $# -ge 1 ] || fail "say where to put it: newer_dcmtk.sh FOLDER [RELEASE]"
[ -n "$(command -v apt-get)" ] || fail "there is no apt here, and it is apt that fetches"
mkdir -p "$1" || fail "$1 cannot be made"
folder=$(cd "$1" && pwd)
[ -z "$(ls -A "$folder")" ] || fail "$folder is not empty"
release=${2:-testing}

# shellcheck disable=SC2016 # apt's own variable
archive=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Label: Debian' | head -n 1)
[ -n "$archive" ] || fail "apt knows no archive of Debian: is this Debian, and has 'apt-get update' run?"

# A status that knows no package makes apt fetch every dependency, the C library too.
mkdir -p "$folder/apt/lists/partial" "$folder/apt/archives/partial"
: > "$folder/apt/status"
echo "deb $archive $release main" > "$folder/apt/sources.list"
cat > "$folder/apt/apt.conf" << EOF
Dir::State "$folder/apt";
Dir::State::status "$folder/apt/status";
Dir::Cache "$folder/apt";
Dir::Etc::SourceList "$folder/apt/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::Etc::PreferencesParts "/dev/null";
APT::Install-Recommends "false";
Acquire::Languages "none";
EOF
export APT_CONFIG="$folder/apt/apt.conf"
apt-get -qq update || fail "apt cannot read $release of $archive"
apt-get -qq --yes --download-only install dcmtk > /dev/null || fail "apt cannot fetch dcmtk of $release"

for package in "$folder"/apt/archives/*.deb; do
    dpkg-deb --extract "$package" "$folder/root"
done
rm -r "$folder/apt"

[ -x "$folder/root/usr/bin/json2dcm" ] || fail "the dcmtk of $release is too old to have json2dcm"
mkdir -p "$folder/bin"
for program in json2dcm dcm2json; do
    cat > "$folder/bin/$program" << 'EOF'
#!/bin/sh
root=$(cd "$(dirname "$0")/../root" && pwd)
export DCMDICTPATH="$root/usr/share/dcmtk/dicom.dic"
for loader in "$root"/usr/lib/*/ld-linux*; do
    exec "$loader" --library-path "$(dirname "$loader")" "$root/usr/bin/$(basename "$0")" "$@"
done
EOF
    chmod +x "$folder/bin/$program"
    "$folder/bin/$program" --version > /dev/null || fail "$folder/bin/$program does not run"
done
