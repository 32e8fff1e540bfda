#!/usr/bin/env bash
# Packages Keyturn into BUILD/package (build/package) and proves the package fit to deploy.
# Usage: package/build.sh VENV [BUILD], a virtual environment with requirements-package.txt in it, and a folder.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=$(realpath "$1")
build=$(realpath -m "${2:-build}")
export AWS_DEFAULT_REGION=${AWS_DEFAULT_REGION:-us-east-1} PYTHONDONTWRITEBYTECODE=1

ships=(app.py chalicelib .chalice requirements.txt)
list_sources() {
    git ls-files -z --cached --others --exclude-standard -- "${ships[@]}" 2>/dev/null ||
        find "${ships[@]}" -type f -not -path '.chalice/deploy*' -print0
}
package() {
    "$venv/bin/chalice" --project-dir "$build/source" package --stage live --template-format yaml "$@"
}

# Every wheel that ships is fetched by its digest, for Lambda's processor and, because Chalice looks at it first, for
# this one. Chalice itself would check no digest of a wheel for another processor: it finds these, and no index.
fetch() {
    "$venv/bin/python" -m pip download --quiet --disable-pip-version-check --require-hashes --no-deps \
        --only-binary=:all: --dest "$build/wheels" --requirement requirements-zip.txt "$@"
}
machine=$("$venv/bin/python" -m package.archive)
rm -rf "$build/wheels"
fetch
fetch --platform "manylinux2014_$machine" --platform "manylinux_2_28_$machine"
export PIP_NO_INDEX=1 PIP_FIND_LINKS=$build/wheels

mkdir -p "$build"
list_sources | "$venv/bin/python" -m package.sources "$build/source"
rm -rf "$build/package" "$build/generated"
package --merge-template "$build/source/.chalice/resources.yaml" "$build/package"
package "$build/generated"
"$venv/bin/python" -m package.flatten "$build/package/sam.yaml"

# What the handlers load is seen by loading them, once as they are and once as they are shipped.
mapfile -t handlers < <(sed -n 's/^ *Handler: //p' "$build/package/sam.yaml" | sort -u)
load() {
    env -i "$venv/bin/python" -I -S package/import_handlers.py \
        "$build/unpacked" "$build/runtime" "$build/loaded" "${handlers[@]}"
}
"$venv/bin/python" -m package.archive "$build"
load >/dev/null
"$venv/bin/python" -m package.precompile "$build/package/deployment.zip" "$build/loaded"

"$venv/bin/cfn-lint" "$build/package/sam.yaml" docs/kms-account-role.yaml docs/data-key.yaml
"$venv/bin/python" -m package.check "$build"
load
"$venv/bin/python" -m package.bill "$build"
echo "$build/package is fit to deploy"
