#!/bin/sh
# Golden cases and broken inputs with extensions that are built with the address and undefined-behaviour sanitizers.
# Run by `make sanitize`. PYTHON: an interpreter that has what the tests need. COUNT: broken inputs of each kind.
# PARTS: which of golden, noisify, nonbragg, absurd, kept, fuzz (default: all of them).
set -eu
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-.venv/bin/python}
BUILT=$PWD/build/sanitize
NANOBRAGG_SANITIZE=1 NANOBRAGG_BUILD_LEVELS="base v3" "$PYTHON" setup.py --quiet build \
    --build-temp "$BUILT/temp" --build-lib "$BUILT/package"

# the interpreter is not built with them: the libraries have to be there before it starts
LD_PRELOAD=$(gcc -print-file-name=libasan.so):$(gcc -print-file-name=libubsan.so)
# Python keeps memory until it ends; a request for too much memory is to fail as it does without the sanitizer
ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1:halt_on_error=1:exitcode=66:handle_segv=0
UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1:exitcode=66
PYTHONPATH=$BUILT/package PYTHONSAFEPATH=1
export LD_PRELOAD ASAN_OPTIONS UBSAN_OPTIONS PYTHONPATH PYTHONSAFEPATH

"$PYTHON" -c "import nanobragg_py.kernels.loops.job as job; print(job.__file__)"
for part in ${PARTS:-golden noisify nonbragg absurd kept fuzz}; do
    case $part in
    golden) "$PYTHON" -m pytest -q -p no:cacheprovider tests/test_golden.py ;;
    noisify | nonbragg) "$PYTHON" -m pytest -q -p no:cacheprovider "tests/test_golden_$part.py" ;;
    # kernels that are given geometry without sense
    absurd) "$PYTHON" -m pytest -q -p no:cacheprovider tests/test_absurd.py -k "not gpu" ;;
    # inputs that once broke a program, or a folder of others: FOUND
    kept) "$PYTHON" tests/fuzz/cases.py "${FOUND:-tests/fuzz/kept.json}" --seconds 120 --memory 0 ;;
    # address space that the sanitizer reserves for itself does not count as the program's
    fuzz) "$PYTHON" tests/fuzz/run.py --count "${COUNT:-100}" --seed 30 --seconds 60 --memory 0 --keep "$BUILT/found" ;;
    esac
done
