#!/bin/sh
# Print a Python that afresh supports: `find_python.sh` any of them, `find_python.sh 3.12` that version. Exit 1 if there is none.
# A name on PATH proves nothing (pyenv has shims for versions that are not active), so each candidate is run.
set -eu

if [ $# -gt 0 ]; then
    candidates="python$1 python3 python ${PYENV_ROOT:-$HOME/.pyenv}/versions/$1*/bin/python"
    wanted="'%d.%d' % sys.version_info[:2] == '$1'"
else
    candidates="python3 python3.13 python3.12 python3.11 python"
    wanted="sys.version_info >= (3, 11)"
fi

for candidate in $candidates; do
    if "$candidate" -c "import sys; sys.exit(not ($wanted))" 2>/dev/null; then
        command -v "$candidate"
        exit 0
    fi
done
exit 1
