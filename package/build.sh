#!/usr/bin/env bash
# Packages Keyturn into build/package and proves the package fit to deploy.
# Usage: package/build.sh VENV, a virtual environment with requirements-package.txt in it.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=$(realpath "$1")
build=$PWD/build
export AWS_DEFAULT_REGION=${AWS_DEFAULT_REGION:-us-east-1} PYTHONDONTWRITEBYTECODE=1

ships=(app.py chalicelib .chalice requirements.txt)
list_sources() {
    git ls-files -z --cached --others --exclude-standard -- "${ships[@]}" 2>/dev/null ||
        find "${ships[@]}" -type f -not -path '.chalice/deploy*' -print0
}
package() {
    "$venv/bin/chalice" --project-dir "$build/source" package --stage live --template-format yaml "$@"
}

mkdir -p "$build"
list_sources | "$venv/bin/python" -m package.sources "$build/source"
rm -rf "$build/package" "$build/generated"
package --merge-template "$build/source/.chalice/resources.yaml" "$build/package"
package "$build/generated"
"$venv/bin/python" -m package.flatten "$build/package/sam.yaml"

"$venv/bin/cfn-lint" "$build/package/sam.yaml" docs/kms-account-role.yaml docs/data-key.yaml
"$venv/bin/python" -m package.check "$build"
mapfile -t handlers < <(sed -n 's/^ *Handler: //p' "$build/package/sam.yaml" | sort -u)
env -i "$venv/bin/python" -I -S package/import_handlers.py "$build/unpacked" "$build/runtime" "${handlers[@]}"
echo "build/package is fit to deploy"
