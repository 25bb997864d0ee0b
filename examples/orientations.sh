#!/bin/bash
# Which of some orientations gives the strongest spot? Written for the C program; runs with either.
#
# Usage: orientations.sh [PROGRAM]        (default: $NANOBRAGG, or else nanoBragg)
#
# Leaves orient_N.bin, orient_N.img and orient_N_noise.img for each orientation in the working folder.
nanoBragg=${1:-${NANOBRAGG:-nanoBragg}}
hkl=$(dirname "$0")/../golden/inputs/cro_1orc_2A.hkl

common="-cell 34.77 39.17 48.31 90 90 90 -N 10 -lambda 1 -distance 120 -detpixels 300 -pixel 0.3 -oversample 1"

# read the structure factors once; the runs below find them in Fdump.bin
$nanoBragg -hkl "$hkl" $common -roi 0 1 0 1 -nonoise -nopgm > setup.log || exit 9

n=0
best=0
for rotx in 0 30; do
    for rotz in 5 35 65; do
        n=$((n + 1))
        $nanoBragg $common -misset $rotx 15 $rotz -mosaic 0.2 -mosaic_domains 4 -fluence 1e26 -seed $n \
            -floatfile orient_$n.bin -intfile orient_$n.img -noisefile orient_${n}_noise.img -nopgm \
            -noprogress > orient_$n.log || exit 9
        max=$(grep max_I orient_$n.log | awk '{print $3}')
        photons=$(awk '/photons on noise image/{print $1}' orient_$n.log)
        echo "$n: misset $rotx 15 $rotz max_I $max photons $photons"
        if awk -v a=$max -v b=$best 'BEGIN { exit !(a + 0 > b + 0) }'; then
            best=$max
            winner=$n
        fi
    done
done
echo "strongest: orient_$winner.img, max_I $best"
