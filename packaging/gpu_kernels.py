"""The GPU's kernels as machine code, for a wheel: with them `-backend gpu` needs no compiler.

python packaging/gpu_kernels.py FILE [folder of a built package]

setup.py calls it where NANOBRAGG_BUILD_GPU is 1 and NVRTC of CUDA 12 is there (nvidia-cuda-nvrtc-cu12): what that
makes, drivers of CUDA 12 and 13 take. Code is kept in build/gpu_kernels from one build to the next.
"""

import hashlib
import io
import os
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "benchmarks"), *sys.argv[2:]]

import cuda_tools  # noqa: E402

from nanobragg_py.render.gpu.prebuilt import digest  # noqa: E402
from nanobragg_py.render.gpu.variants import STRUCTURES, TRANSFORMS, all_variants, options, source  # noqa: E402

#: compute capabilities: of the A100 and all of 8.x, of the H100, of the RTX 5090 and all of 12.x
ARCHITECTURES = (80, 90, 120)
#: kernels without choices, and whether they are compiled without fused multiply-adds
PLAIN = {"rotation": False, "statistics": False, "pixels": True}
KEPT = ROOT / "build" / "gpu_kernels"


def kernels():
    """(file, macros, exact) of every kernel that is built: flat detectors, transforms that a GPU ever has."""
    found = [(file, (), exact) for file, exact in PLAIN.items()]
    for variant in all_variants():
        rare = variant.curved or TRANSFORMS[variant.kind] == "round_marked"
        if not rare and not (variant.single and STRUCTURES[variant.structure] == "tricubic"):
            found.append(("intensity", variant.macros, False))
    return found


def machine_code(compiler, kernel, architecture):
    """A cubin."""
    file, macros, exact = kernel
    words = options(macros, exact)
    # the folders of headers differ from build to build, and the digest knows what is in them
    told = repr(
        (digest(*kernel), cuda_tools.cupys([word for word in words if not word.startswith("-I")], architecture))
    )
    path = KEPT / f"{hashlib.sha256(told.encode()).hexdigest()[:24]}.cubin"
    if not path.exists():
        code, _ = compiler.compile(source(file), words, architecture)
        KEPT.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}")
        partial.write_bytes(code)
        partial.replace(path)
    return path.read_bytes()


def write(path, make, chosen, architectures=ARCHITECTURES):
    """The archive. make: called with a kernel and an architecture, gives code."""
    jobs = [(architecture, kernel) for architecture in architectures for kernel in chosen]
    with ThreadPoolExecutor(os.cpu_count()) as pool, zipfile.ZipFile(path, "w") as archive:
        codes = dict(zip(jobs, pool.map(lambda job: make(job[1], job[0]), jobs), strict=True))
        for architecture in architectures:
            with io.BytesIO() as together:
                with zipfile.ZipFile(together, "w") as kernels_of_one:
                    for kernel in chosen:
                        # no time, so that the same code makes the same file
                        kernels_of_one.writestr(zipfile.ZipInfo(digest(*kernel)), codes[architecture, kernel])
                archive.writestr(zipfile.ZipInfo(f"sm_{architecture}"), together.getvalue(), zipfile.ZIP_LZMA)


def main():
    try:
        compiler = cuda_tools.Nvrtc(12)
    except (FileNotFoundError, ImportError, OSError) as error:
        sys.exit(f"NVRTC is not there: {error}")
    write(sys.argv[1], lambda kernel, architecture: machine_code(compiler, kernel, architecture), kernels())


if __name__ == "__main__":
    main()
