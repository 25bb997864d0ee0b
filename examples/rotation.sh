#!/bin/sh
# One degree of rotation of a protein crystal: mosaicity, water background and photon noise, as a picture.
#
# Usage: examples/rotation.sh [FOLDER]        (default: rotation)
# $NANOBRAGG names another program, $NANOBRAGG_PY where the tools are; the picture needs pillow.
#
# The structure factors, to 2 A and expanded to P1, were computed with gemmi from the model of PDB entry 1ORC (Cro
# repressor, orthorhombic, 34.77 x 39.17 x 48.31 A).
set -e
here=$(cd "$(dirname "$0")" && pwd)
folder=${1:-rotation}
mkdir -p "$folder"
cd "$folder"

# F(000) would be the direct beam, which a beam stop takes out of an experiment
awk '$1 || $2 || $3' "$here/../golden/inputs/cro_1orc_2A.hkl" > cro.hkl

# The crystal is made of blocks of 20 x 18 x 15 cells, 70 nm wide and 0.3 degrees apart in orientation. A program run
# renders the average block, so the fluence is that of the exposure (0.1 s of 1e12 photons/s in 60 x 60 um: 2.8e19
# photons/m^2) times the number of blocks (7e7 in a crystal of 30 um). The water thickness is chosen for a background of
# about 20 photons a pixel.
"${NANOBRAGG:-nanoBragg}" -hkl cro.hkl -cell 34.77 39.17 48.31 90 90 90 -misset 0 87 4 \
    -Na 20 -Nb 18 -Nc 15 -round_xtal -mosaic 0.3 -mosaic_domains 20 \
    -phi 0 -osc 1 -phisteps 10 \
    -lambda 1 -fluence 2e27 -water 8 \
    -distance 225 -detpixels 1024 -pixel 0.172 \
    -floatfile rotation.bin -intfile rotation_noiseless.img -noisefile rotation.img -pgmfile rotation.pgm -pgmscale 3 \
    -seed 1

"${NANOBRAGG_PY:-nanobragg-py}" view rotation.img --out rotation.png --size 512 --white 120 \
    --no-rings --no-axes --no-centre
echo "the image is $(pwd)/rotation.img, its picture $(pwd)/rotation.png"
